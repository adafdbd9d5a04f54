"""The loop, whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from torch import Tensor

from nasplug.engine.phase import Phase
from nasplug.parts import Batch, Objective, Stage
from nasplug.values import Now, Step, Turn


def train(phase: Phase) -> Iterator[Step]:
    """Trains a phase from where it stands to its end, and says so step by step.

    Everything with an effect (disk, progress, observers) wraps this iterable from outside: between two events the
    phase is in a state that a checkpoint can hold.
    """
    for stage in phase.stages_left():
        for now in phase.clock.since(phase.step):
            batches = phase.batches(now)
            with phase.sampled(now):
                for turn in phase.optimizer.turns(now):
                    objective = Objective(turn.split, partial(turn_loss, phase, stage, batches, turn, now))
                    loss = phase.optimizer.descend(turn, objective, phase.movers)
            stage.after_step(phase.net, now)
            verdict = phase.schedule.after_step(phase.choices, now)
            if verdict.deleted:
                phase.prune()
            yield phase.advance(now, loss, verdict)
            if verdict.stop:
                break


def turn_loss(phase: Phase, stage: Stage, batches: Callable[[str], Batch], turn: Turn, now: Now, split: str) -> Tensor:
    """What a turn minimises: the stage's loss, pressed by the schedule where alpha moves.

    The loss of another split, which second-order steps look ahead with, is what the weights will minimise in their
    own turn: distilled as theirs is, and not pressed.
    """
    if split != turn.split:
        turn = Turn(split, moves_weights=True, moves_alpha=False)
    with phase.precision():
        loss: Tensor = stage(phase.net, batches(split), turn, now)
    return phase.schedule.penalise(loss, phase.choices, now) if turn.moves_alpha else loss
