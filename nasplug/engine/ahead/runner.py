"""Steps made ahead of the host: it reads the figures of many steps together, and a GPU replays recorded ones.

This is right only as long as no decision of the host depends on figures that it has not read yet. Parts promise that
with `static_graph`; where one does not, steps are made and read one at a time.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import attrs
from torch import Tensor, nn

from nasplug.engine.accumulation import Batches
from nasplug.engine.ahead.cuda_graphs import GraphCache
from nasplug.engine.ahead.graph_keys import held_columns, step_key
from nasplug.engine.ahead.rewind import Rewind
from nasplug.engine.step_events import DeviceStep, HostStep, read_steps
from nasplug.engine.trainer import Trainer
from nasplug.parts import Batch, Objective
from nasplug.parts.choice import Columns
from nasplug.values import Step, StepInfo, Update

WORTH_RECORDING = 1 / 16
"""Share of the candidates that must be deleted before their modules are removed and steps are recorded again."""


@attrs.define(eq=False)
class AheadRunner:
    """Makes up to `poll` steps before the host reads their figures; it always reads them after the last of an epoch."""

    poll: int
    graph_cache: GraphCache | None = None
    """CUDA graphs of updates; None: every step is computed operation by operation."""
    _deleted: int = attrs.field(init=False, default=0)
    """Candidates that are deleted and whose modules still exist."""
    _present: Columns = attrs.field(init=False, default=())
    """The candidates whose modules existed when these were counted."""

    @property
    def status(self) -> str:
        """Whether updates are replayed, or why not."""
        return "" if self.graph_cache is None else str(self.graph_cache)

    def run(self, trainer: Trainer) -> Iterator[Sequence[Step]]:
        """Trains to the end; yields the events of the steps whose figures were read together."""
        rewind: Rewind | None = None
        try:
            for _ in trainer.stages_left():
                self._forget_graphs()  # the torch optimizers may be new, and the supernet, too
                rewind = None
                while trainer.step < trainer.clock.steps:
                    count = self._steps_ahead(trainer)
                    if count > 1:
                        rewind = _save(rewind, trainer)
                    steps = self._make(trainer, count)
                    while (end := _last_step(steps)) < count and rewind is not None:
                        # Steps after the one that stopped the stage must leave no trace: go back, and stop there.
                        rewind.restore()
                        self._forget_graphs()  # parts may hold new tensors
                        count = end
                        steps = self._make(trainer, count)
                    yield trainer.finish_steps(steps, prune=self._prunes(trainer, steps))
        finally:
            self._forget_graphs()

    def make_step(self, trainer: Trainer, now: StepInfo) -> DeviceStep:
        """Makes one step; the host waits for the device only where a part reads figures."""
        key = step_key(trainer, now)
        make_objective = None
        if self.graph_cache is not None and key is not None:
            make_objective = partial(self._recorded_objective, trainer, key)
        with self._stream(), held_columns(trainer.choices) if key is not None else nullcontext():
            return trainer.train_step(now, make_objective)

    def _make(self, trainer: Trainer, count: int) -> list[HostStep]:
        first = trainer.step
        return read_steps([self.make_step(trainer, trainer.clock.at(first + number)) for number in range(count)])

    def _steps_ahead(self, trainer: Trainer) -> int:
        """How many steps are made before their figures are read."""
        now = trainer.clock.at(trainer.step)
        most = min(self.poll - now.step % self.poll, now.steps_per_epoch - now.step % now.steps_per_epoch)
        unknown = (count for count in range(most) if step_key(trainer, trainer.clock.at(now.step + count)) is None)
        return max(1, next(unknown, most)) if most > 1 else most

    def _prunes(self, trainer: Trainer, steps: Sequence[HostStep]) -> bool:
        """Whether the modules of deleted candidates are removed now.

        While steps are replayed, only when enough are deleted to be worth new recordings, or the stage is over.
        """
        if trainer.present is not self._present:
            self._present, self._deleted = trainer.present, 0
        self._deleted += sum(step.deleted for step in steps)
        last = steps[-1]
        over = last.stop or last.now.step + 1 == last.now.steps
        waits = self.graph_cache is not None and self.graph_cache.any and not over
        return self._deleted > (WORTH_RECORDING * sum(map(len, trainer.present)) if waits else 0)

    def _recorded_objective(
        self, trainer: Trainer, key: Hashable, update: Update, batches: Batches, now: StepInfo
    ) -> Objective:
        evaluate = partial(trainer.compute_loss, update, batches, now)
        if self.graph_cache is None or trainer.choices.mask is not None:
            return Objective(update.split, evaluate)
        return _RecordedObjective(update.split, evaluate, trainer, self.graph_cache, key, update, batches, now)

    def _stream(self) -> AbstractContextManager[None]:
        return nullcontext() if self.graph_cache is None else self.graph_cache.recorder.stream()

    def _forget_graphs(self) -> None:
        if self.graph_cache is not None:
            self.graph_cache.forget()


@attrs.frozen
class _RecordedObjective(Objective):
    """An objective whose gradients are recorded once and replayed."""

    trainer: Trainer
    graph_cache: GraphCache
    key: Hashable
    update: Update
    batches: Batches
    now: StepInfo

    def backward(self, parameters: Sequence[nn.Parameter]) -> Tensor:
        def compute(batch: Batch) -> Tensor:
            evaluate = partial(self.trainer.compute_loss, self.update, lambda _: batch, self.now)
            return Objective(self.split, evaluate).backward(parameters)

        return self.graph_cache.gradients(self.update, self.key, self.batches(self.split), compute, parameters)


def _save(rewind: Rewind | None, trainer: Trainer) -> Rewind:
    if rewind is None or not rewind.is_complete:
        return Rewind(trainer)
    rewind.save()
    return rewind


def _last_step(steps: Sequence[HostStep]) -> int:
    """The number of the step that stops the stage, counted from 1; the number of steps if none does."""
    return next((number for number, step in enumerate(steps, 1) if step.stop), len(steps))
