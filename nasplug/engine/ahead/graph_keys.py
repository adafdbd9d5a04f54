"""What the operations of a step depend on, beyond tensors that stay in place."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from nasplug.engine.trainer import Trainer
from nasplug.parts import Choices, key_of
from nasplug.values import StepInfo


def step_key(trainer: Trainer, now: StepInfo) -> Hashable | None:
    """What the operations of a step depend on beyond tensors that stay in place; None if a part does not know."""
    if trainer.schedule.skip_dropout(now) > 0:  # masks come from a generator that a recorded step would not seed
        return None
    stage, net = trainer.present_stage, trainer.net
    keys = (
        key_of(net, methods=("outputs",)),
        key_of(stage, now, methods=("forward",)),
        key_of(trainer.optimizer, now, methods=("relax",)),
        key_of(trainer.schedule, now, methods=("penalise", "after_step")),
    )
    if any(key is None for key in keys):
        return None
    with held_columns(trainer.choices):
        computed = trainer.choices.computed_columns
    return (trainer.stage, trainer.training.drop_path_at(now), trainer.training.dropout, computed, *keys)


@contextmanager
def held_columns(choices: Choices) -> Iterator[None]:
    """Inside the block `computed_columns` stays what it is, so that the host need not read every deletion."""
    before, choices.columns_held = choices.columns_held, True
    try:
        yield
    finally:
        choices.columns_held = before
