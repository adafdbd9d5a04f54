"""What the operations of a step depend on, beyond tensors that stay in place."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from nasplug.engine.trainer import Trainer
from nasplug.parts import Choices
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


def key_of(part: Any, *arguments: object, methods: tuple[str, ...]) -> Hashable | None:
    """The `graph_key` of a part whose step is static, else None.

    `arguments` are those of its `graph_key`; `methods` are the methods of the part that a step calls.
    """
    if not (part.static_graph and key_is_trustworthy(part, *methods)):
        return None
    key: Hashable | None = part.graph_key(*arguments)
    return key


def key_is_trustworthy(part: object, *methods: str) -> bool:
    """Whether the class that set `static_graph`, or wrote the `graph_key`, knew what these methods of the part do.

    A subclass that overrides one of them and inherits the claim may compute with what the key does not name.
    """
    cls: Any = type(part)
    return _is_trustworthy(cls, methods)


@cache
def _is_trustworthy(cls: Any, methods: tuple[str, ...]) -> bool:
    def depth(name: str) -> int:
        """How far up the classes the nearest definition of `name` is."""
        return next((place for place, base in enumerate(cls.__mro__) if name in vars(base)), len(cls.__mro__))

    claimed = min(depth("static_graph"), depth("graph_key"))
    return all(claimed <= depth(method) for method in methods)
