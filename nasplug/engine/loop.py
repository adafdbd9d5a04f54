"""The loop, whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial

import attrs
from torch import Tensor, nn

from nasplug.engine.phase import Phase
from nasplug.engine.records import Outcome, Record, read_out
from nasplug.engine.rewind import Rewind
from nasplug.parts import Batch, Objective, Stage
from nasplug.values import Now, Step, Turn


def train(phase: Phase) -> Iterator[Step]:
    """Trains a phase from where it stands to its end, and says so step by step."""
    for steps in settled(phase):
        yield from steps


def settled(phase: Phase) -> Iterator[Sequence[Step]]:
    """Trains a phase from where it stands to its end; gives the steps made since the host last looked.

    Everything with an effect (disk, progress, observers) wraps this iterable from outside: whenever it gives steps the
    phase is in a state that a checkpoint can hold.
    """
    before = None
    for stage in phase.stages_left():
        while phase.step < phase.clock.steps:
            count = phase.ahead
            if count > 1:
                before = _noted(before, phase)
            outcomes = _made(phase, stage, count)
            while (end := _end(outcomes)) < count and before is not None:
                # Steps beyond the end of the search must leave no trace: back, and no further than to the end.
                before.restore()
                count = end
                outcomes = _made(phase, stage, count)
            yield phase.settle(outcomes)


def _noted(before: Rewind | None, phase: Phase) -> Rewind:
    if before is None or not before.holds:
        return Rewind(phase)
    before.note()
    return before


def _made(phase: Phase, stage: Stage, count: int) -> Sequence[Outcome]:
    first = phase.step
    return read_out([make_step(phase, stage, phase.clock.at(first + each)) for each in range(count)])


def _end(outcomes: Sequence[Outcome]) -> int:
    """The number of the step that ends the search, counted from 1; the last if none does."""
    return next((number for number, each in enumerate(outcomes, 1) if each.stop), len(outcomes))


def make_step(phase: Phase, stage: Stage, now: Now) -> Record:
    """Makes a step. Where all parts leave to the device what only the device knows, the host does not wait for it."""
    lane = nullcontext() if phase.replays is None else phase.replays.recorder.lane()
    with lane, phase.deferring(now):
        batches = phase.batches(now)
        with phase.sampled(now):
            for turn in phase.optimizer.turns(now):
                objective = _Objective.of(phase, stage, batches, turn, now)
                loss = phase.optimizer.descend(turn, objective, phase.movers)
        stage.after_step(phase.net, now)
        verdict = phase.schedule.after_step(phase.choices, now)
        return Record.of(now, loss, verdict, phase.choices)


@attrs.frozen
class _Objective(Objective):
    """An objective whose gradients are replayed, where that can be."""

    phase: Phase
    stage: Stage
    batches: Callable[[str], Batch]
    turn: Turn
    now: Now

    @classmethod
    def of(cls, phase: Phase, stage: Stage, batches: Callable[[str], Batch], turn: Turn, now: Now) -> _Objective:
        return cls(turn.split, partial(_turn_loss, phase, stage, batches, turn, now), phase, stage, batches, turn, now)

    def backward(self, parameters: Sequence[nn.Parameter]) -> Tensor:
        phase = self.phase
        if phase.replays is None or phase.choices.mask is not None or (key := phase.key(self.now)) is None:
            return Objective.backward(self, parameters)

        def compute(batch: Batch) -> Tensor:
            loss = partial(_turn_loss, phase, self.stage, lambda _: batch, self.turn, self.now)
            return Objective(self.split, loss).backward(parameters)

        return phase.replays.gradients(self.turn, key, self.batches(self.split), compute, parameters)


def _turn_loss(phase: Phase, stage: Stage, batches: Callable[[str], Batch], turn: Turn, now: Now, split: str) -> Tensor:
    """What a turn minimises: the stage's loss, pressed by the schedule where alpha moves.

    The loss of another split, which second-order steps look ahead with, is what the weights will minimise in their
    own turn: distilled as theirs is, and not pressed.
    """
    if split != turn.split:
        turn = Turn(split, moves_weights=True, moves_alpha=False)
    with phase.precision():
        loss: Tensor = stage(phase.net, batches(split), turn, now)
    return phase.schedule.penalise(loss, phase.choices, now) if turn.moves_alpha else loss
