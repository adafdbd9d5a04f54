"""The loop, whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial

import attrs
from torch import Tensor, nn

from nasplug.engine.ahead.rewind import Rewind
from nasplug.engine.step_events import DeviceStep, HostStep, read_steps
from nasplug.engine.trainer import Trainer
from nasplug.parts import Batch, Objective, Stage
from nasplug.values import Step, StepInfo, Update


def train(trainer: Trainer) -> Iterator[Step]:
    """Trains a phase from where it stands to its end, and says so step by step."""
    for steps in run_groups(trainer):
        yield from steps


def run_groups(trainer: Trainer) -> Iterator[Sequence[Step]]:
    """Trains a phase from where it stands to its end; gives the steps made since the host last looked.

    Everything with an effect (disk, progress, observers) wraps this iterable from outside: whenever it gives steps the
    phase is in a state that a checkpoint can hold.
    """
    before = None
    for stage in trainer.stages_left():
        while trainer.step < trainer.clock.steps:
            count = trainer.ahead
            if count > 1:
                before = _noted(before, trainer)
            outcomes = _made(trainer, stage, count)
            while (end := _end(outcomes)) < count and before is not None:
                # Steps beyond the end of the search must leave no trace: back, and no further than to the end.
                before.restore()
                count = end
                outcomes = _made(trainer, stage, count)
            yield trainer.finish_steps(outcomes)


def _noted(before: Rewind | None, trainer: Trainer) -> Rewind:
    if before is None or not before.holds:
        return Rewind(trainer)
    before.note()
    return before


def _made(trainer: Trainer, stage: Stage, count: int) -> Sequence[HostStep]:
    first = trainer.step
    return read_steps([make_step(trainer, stage, trainer.clock.at(first + each)) for each in range(count)])


def _end(outcomes: Sequence[HostStep]) -> int:
    """The number of the step that ends the search, counted from 1; the last if none does."""
    return next((number for number, each in enumerate(outcomes, 1) if each.stop), len(outcomes))


def make_step(trainer: Trainer, stage: Stage, now: StepInfo) -> DeviceStep:
    """Makes a step. Where all parts leave to the device what only the device knows, the host does not wait for it."""
    lane = nullcontext() if trainer.graph_cache is None else trainer.graph_cache.recorder.lane()
    with lane, trainer.deferring(now):
        batches = trainer.batches(now)
        with trainer.sampled(now):
            for update in trainer.optimizer.updates(now):
                objective = _Objective.of(trainer, stage, batches, update, now)
                loss = trainer.optimizer.optimizer_step(update, objective, trainer.torch_optimizers)
        stage.after_step(trainer.net, now)
        verdict = trainer.schedule.after_step(trainer.choices, now)
        return DeviceStep.of(now, loss, verdict, trainer.choices)


@attrs.frozen
class _Objective(Objective):
    """An objective whose gradients are replayed, where that can be."""

    trainer: Trainer
    stage: Stage
    batches: Callable[[str], Batch]
    update: Update
    now: StepInfo

    @classmethod
    def of(
        cls, trainer: Trainer, stage: Stage, batches: Callable[[str], Batch], update: Update, now: StepInfo
    ) -> _Objective:
        return cls(
            update.split,
            partial(_turn_loss, trainer, stage, batches, update, now),
            trainer,
            stage,
            batches,
            update,
            now,
        )

    def backward(self, parameters: Sequence[nn.Parameter]) -> Tensor:
        trainer = self.trainer
        if trainer.graph_cache is None or trainer.choices.mask is not None or (key := trainer.key(self.now)) is None:
            return Objective.backward(self, parameters)

        def compute(batch: Batch) -> Tensor:
            loss = partial(_turn_loss, trainer, self.stage, lambda _: batch, self.update, self.now)
            return Objective(self.split, loss).backward(parameters)

        return trainer.graph_cache.gradients(self.update, key, self.batches(self.split), compute, parameters)


def _turn_loss(
    trainer: Trainer, stage: Stage, batches: Callable[[str], Batch], update: Update, now: StepInfo, split: str
) -> Tensor:
    """What a turn minimises: the stage's loss, pressed by the schedule where alpha moves.

    The loss of another split, which second-order steps look ahead with, is what the weights will minimise in their
    own turn: distilled as theirs is, and not pressed.
    """
    if split != update.split:
        update = Update(split, moves_weights=True, moves_alpha=False)
    with trainer.precision():
        loss: Tensor = stage(trainer.net, batches(split), update, now)
    return trainer.schedule.penalise(loss, trainer.choices, now) if update.moves_alpha else loss
