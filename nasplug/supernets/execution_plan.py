"""The plan by which a supernet is computed, worked out once for each set of candidates that count."""

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
"""For each batch of candidates that are computed together, the row and column of every candidate in `Choices`."""


@attrs.frozen(eq=False)
class ExecutionPlan(Generic[W]):
    """How a supernet is computed with one set of candidates, and where their weights are found."""

    computed: Columns
    """The candidates computed, per choice (`Choices.computed_columns`)."""
    wiring: W
    """What is computed in which order, in a form that the supernet defines."""
    index: Tensor
    """The position of the weight of every computed candidate in the flattened `Choices.weights`, batch by batch."""
    sizes: tuple[int, ...]
    """How many of these weights each batch has."""

    def split(self, weights: Tensor) -> tuple[Tensor, ...]:
        """Of weights (choices, candidates) those of every batch, one vector each, in the order of the batches."""
        parts: tuple[Tensor, ...] = weights.flatten().index_select(0, self.index).split(self.sizes)
        return parts


class PlanCache(Generic[W]):
    """The last plan used within `Choices.only` and the last one used outside of it.

    They are kept apart because recorded CUDA graphs refer to the tensors of the latter.
    """

    def __init__(self) -> None:
        self._last: dict[bool, ExecutionPlan[W]] = {}

    def get(self, choices: Choices, build: Callable[[Columns], tuple[W, Positions]]) -> ExecutionPlan[W]:
        """The plan for the candidates that are computed now.

        If it is not in the cache, `build` gives its wiring and positions from the computed columns.
        """
        computed, device, masked = choices.computed_columns, choices.alpha.device, choices.mask is not None
        plan = self._last.get(masked)
        if plan is None or plan.computed != computed or plan.index.device != device:
            wiring, batches = build(computed)
            width = choices.alpha.shape[1]
            index = torch.tensor([row * width + column for batch in batches for row, column in batch], dtype=torch.long)
            sizes = tuple(len(batch) for batch in batches)
            self._last[masked] = plan = ExecutionPlan(computed, wiring, send(index, device), sizes)
        return plan
