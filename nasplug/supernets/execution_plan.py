"""How a supernet is computed while the same candidates count, worked out once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import attrs
import torch
from torch import Tensor

from nasplug.parts import Choices, send
from nasplug.parts.choice import Columns

W = TypeVar("W")
Positions = Sequence[Sequence[tuple[int, int]]]
"""For each batch of candidates that are computed together, row and column of each in the table of choices."""


@attrs.frozen(eq=False)
class ExecutionPlan(Generic[W]):
    """The wiring of a supernet for one set of candidates, and where their weights stand."""

    computed: Columns
    wiring: W
    index: Tensor
    """Where, in the flattened table of weights, the weight of each computed candidate stands."""
    sizes: tuple[int, ...]
    """How many of these weights each batch has."""

    def split(self, choices: Choices) -> tuple[Tensor, ...]:
        """The weights of every batch."""
        parts: tuple[Tensor, ...] = choices.weights().flatten().index_select(0, self.index).split(self.sizes)
        return parts


class PlanCache(Generic[W]):
    """The last order of passes within `Choices.only`, and that of all others, to which recorded steps refer."""

    def __init__(self) -> None:
        self._last: dict[bool, ExecutionPlan[W]] = {}

    def now(self, choices: Choices, wire: Callable[[Columns], tuple[W, Positions]]) -> ExecutionPlan[W]:
        """The order of what is now computed; `wire` gives a wiring and its positions if another one is needed."""
        computed, device, masked = choices.computed_columns, choices.alpha.device, choices.mask is not None
        order = self._last.get(masked)
        if order is None or order.computed != computed or order.index.device != device:
            wiring, batches = wire(computed)
            width = choices.alpha.shape[1]
            index = torch.tensor([row * width + column for batch in batches for row, column in batch], dtype=torch.long)
            sizes = tuple(len(batch) for batch in batches)
            self._last[masked] = order = ExecutionPlan(computed, wiring, send(index, device), sizes)
        return order
