"""One block of a supernet: cells of different depth and width side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import attrs
from torch import Tensor, nn

from nasplug.builtin.mbconv.choosing import layer_choice
from nasplug.builtin.mbconv.mixing import MixedLayer
from nasplug.builtin.mbconv.names import Cell, Operation, cell_place
from nasplug.builtin.mbconv.plan import LayerPlan
from nasplug.parts import Choices

Features = dict[Cell, Tensor]
"""For each cell that counts, the map that it has come to."""


@attrs.frozen(eq=False)
class Weights:
    """What one pass computes and what that weighs: columns of each row of the table of choices, and all its weights."""

    computed: tuple[tuple[int, ...], ...]
    rows: tuple[Tensor, ...]

    @classmethod
    def now(cls, choices: Choices) -> Weights:
        """Those of this moment."""
        return cls(choices.computed_columns, choices.weights().unbind(0))


class SupernetBlock(nn.Module):
    """All cells of a block, layer by layer: step p computes layer p of every cell that counts.

    A cell of fewer layers than p passes through step p as it is.
    """

    def __init__(
        self, block: int, cells: Mapping[Cell, Sequence[LayerPlan]], operations: Sequence[Operation], choices: Choices
    ) -> None:
        super().__init__()
        self.cells = tuple(cells)
        self.row = choices.rows[cell_place(block)] if len(cells) > 1 else None
        """The row of the choice of cell, if there are several."""
        self.rows: tuple[dict[Cell, int], ...] = tuple(
            {cell: choices.rows[layer_choice(block, cell, step)] for cell in cells if step <= cell.layers}
            for step in range(1, max(cell.layers for cell in cells) + 1)
        )
        """For each step, the rows of the layers that it computes."""
        self.steps = nn.ModuleList(
            nn.ModuleDict({str(cell): MixedLayer(cells[cell][step], operations) for cell in rows})
            for step, rows in enumerate(self.rows)
        )

    def forward(self, x: Tensor, weights: Weights) -> Tensor:
        """(N, inside, H, W) to (N, outside, H', W')."""
        features = self.first(x, weights)
        for step in range(1, len(self.steps)):
            features = self.later(step, features, weights)
        return self.mix(features, weights)

    def first(self, x: Tensor, weights: Weights) -> Features:
        """The first layer of every cell that counts."""
        columns = (0,) if self.row is None else weights.computed[self.row]
        return {self.cells[column]: self._layer(0, self.cells[column], x, weights) for column in columns}

    def later(self, step: int, features: Features, weights: Weights) -> Features:
        """One layer more of every cell that has another; `step` counts from 0."""
        rows = self.rows[step]
        return {cell: self._layer(step, cell, x, weights) if cell in rows else x for cell, x in features.items()}

    def mix(self, features: Features, weights: Weights) -> Tensor:
        """The weighted sum of the cells."""
        if self.row is None:
            return features[self.cells[0]]
        each = weights.rows[self.row].unbind(0)
        terms = [x * each[self.cells.index(cell)] for cell, x in features.items()]
        return sum(terms[1:], start=terms[0])

    def rows_of(self, step: int) -> tuple[int, ...]:
        """The rows that decide what a step computes, given what the steps before it computed."""
        rows = tuple(sorted(self.rows[step].values()))
        return rows if step or self.row is None else (self.row, *rows)

    def prune(self, kept: Sequence[Sequence[int]]) -> None:
        """Removes the modules of cells and operations that the table of choices, row by row, no longer keeps."""
        for rows, layers in zip(self.rows, self.steps, strict=True):
            modules = cast("nn.ModuleDict", layers)
            for cell, row in rows.items():
                if str(cell) not in modules:
                    continue
                if self.row is not None and self.cells.index(cell) not in kept[self.row]:
                    del modules[str(cell)]
                else:
                    cast("MixedLayer", modules[str(cell)]).keep(kept[row])

    def _layer(self, step: int, cell: Cell, x: Tensor, weights: Weights) -> Tensor:
        row = self.rows[step][cell]
        layer = cast("nn.ModuleDict", self.steps[step])[str(cell)]
        mixed: Tensor = layer(x, weights.computed[row], weights.rows[row])
        return mixed
