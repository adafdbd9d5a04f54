"""Choices within candidates of other choices: how likely an architecture holds what lies there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from nasplug.parts.choice import Choice


class Nesting(nn.Module):
    """Which rows of a table of choices mean something only with a candidate of another row."""

    def __init__(self, choices: Sequence[Choice], rows: Mapping[str, int]) -> None:
        super().__init__()
        depths: dict[str, int] = {}
        levels: dict[int, list[tuple[int, int, int]]] = {}
        for choice in choices:  # a parent comes before its children
            depths[choice.name] = 0
            if choice.parent is not None:
                name, candidate = choice.parent
                depths[choice.name] = depth = depths[name] + 1
                place = rows[choice.name], rows[name], choices[rows[name]].candidates.index(candidate)
                levels.setdefault(depth, []).append(place)
        self.depth = len(levels)
        for depth, places in levels.items():
            self.register_buffer(f"level_{depth}", torch.tensor(places).T.contiguous(), persistent=False)

    def forward(self, weights: Tensor) -> Tensor:
        """The probability that an architecture holds a candidate, (choices, candidates).

        `weights`, of the same shape, are the probabilities that its choice takes it where the choice has a place: they
        are multiplied by the probability of the candidate in which the choice lies.
        """
        for depth in range(1, self.depth + 1):
            children, row, column = self.get_buffer(f"level_{depth}").unbind(0)
            outer = weights.new_ones(len(weights)).index_copy(0, children, weights[row, column])
            weights = weights * outer[:, None]
        return weights
