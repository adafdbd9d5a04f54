"""One block of a supernet: cells of different depth and width, layer by layer.

All candidates of a layer read the same map, so their expansions are one matrix product; those of one kernel size are
convolved together; the batch norms of all are one call, the last of which also weighs the candidates. Exactly equal to
computing one after the other. Every candidate keeps a module with its own parameters, so that deleting the candidate
deletes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin.mbconv.choices import layer_choice
from nasplug.builtin.mbconv.genotype import Cell, Operation, cell_place
from nasplug.builtin.mbconv.layout import LayerLayout
from nasplug.builtin.mbconv.network import MBConv
from nasplug.parts import Choices
from nasplug.supernets import ComputedWeights, Norm, affine_batch_norm, batch_norm, depthwise, pointwise

Features = dict[Cell, Tensor]
"""The present map of each cell that is computed."""


class SupernetBlock(nn.Module):
    """All cells of a block: step p computes layer p of every cell that is computed.

    The map of a cell of fewer than p layers passes step p unchanged.
    """

    def __init__(
        self, block: int, cells: Mapping[Cell, Sequence[LayerLayout]], operations: Sequence[Operation], choices: Choices
    ) -> None:
        super().__init__()
        self.cells = tuple(cells)
        self.row = choices.rows[cell_place(block)] if len(cells) > 1 else None
        """The row of the choice of cell, if the block has several."""
        self.rows: tuple[dict[Cell, int], ...] = tuple(
            {cell: choices.rows[layer_choice(block, cell, step)] for cell in cells if step <= cell.layers}
            for step in range(1, max(cell.layers for cell in cells) + 1)
        )
        """For each step, the row of the layer that it computes of each cell."""
        self.steps = nn.ModuleList(
            nn.ModuleDict({str(cell): MixedLayer(cells[cell][step], operations) for cell in rows})
            for step, rows in enumerate(self.rows)
        )

    def forward(self, x: Tensor, weights: ComputedWeights) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H', W')."""
        features = self.run_first(x, weights)
        for step in range(1, len(self.steps)):
            features = self.run_step(step, features, weights)
        return self.add_cells(features, weights)

    def run_first(self, x: Tensor, weights: ComputedWeights) -> Features:
        """The first layer of every cell that is computed."""
        columns = (0,) if self.row is None else weights.columns[self.row]
        return {self.cells[column]: self._run_layer(0, self.cells[column], x, weights) for column in columns}

    def run_step(self, step: int, features: Features, weights: ComputedWeights) -> Features:
        """The next layer of every cell that has one; `step` counts from 0 and is not 0 here."""
        rows = self.rows[step]
        return {cell: self._run_layer(step, cell, x, weights) if cell in rows else x for cell, x in features.items()}

    def add_cells(self, features: Features, weights: ComputedWeights) -> Tensor:
        """The weighted sum of the cells."""
        if self.row is None:
            return features[self.cells[0]]
        cell_weights = weights.rows[self.row].unbind(0)
        terms = [x * cell_weights[self.cells.index(cell)] for cell, x in features.items()]
        return sum(terms[1:], start=terms[0])

    def rows_of(self, step: int) -> tuple[int, ...]:
        """The rows of the table of choices on which a step depends, besides those of the steps before it."""
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

    def _run_layer(self, step: int, cell: Cell, x: Tensor, weights: ComputedWeights) -> Tensor:
        row = self.rows[step][cell]
        layer = cast("nn.ModuleDict", self.steps[step])[str(cell)]
        mixed: Tensor = layer(x, weights.columns[row], weights.rows[row])
        return mixed


class MixedLayer(nn.Module):
    """The weighted sum of the candidates of one layer."""

    def __init__(self, layout: LayerLayout, operations: Sequence[Operation]) -> None:
        super().__init__()
        self.layout, self.operations = layout, tuple(operations)
        norm = partial(Norm, affine=True)
        self.candidates = nn.ModuleDict({str(operation): MBConv(layout, operation, norm) for operation in operations})

    def forward(self, x: Tensor, columns: Sequence[int], weights: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H', W').

        `columns` are the numbers of the operations that are computed, `weights` the weights of all operations.
        """
        order = sorted(columns, key=lambda column: self.operations[column].kernel)
        candidates = [cast("MBConv", self.candidates[str(self.operations[column])]) for column in order]
        # Selected by numbers that the host knows: an index tensor would have to be copied to the device.
        by_column = weights.unbind(0)
        if len(candidates) == 1:
            total = by_column[order[0]]
            branches = _weigh_branch(x, candidates[0], total)
        else:
            weights = torch.stack([by_column[column] for column in order])
            total = weights.sum()
            branches = _add_branches(x, candidates, weights)
        # A candidate with a residual is x + branch, so x is weighed by the sum of all weights.
        return branches + x * total if self.layout.residual else branches

    def keep(self, columns: Iterable[int]) -> None:
        """Removes the modules of all other candidates."""
        kept = {str(self.operations[column]) for column in columns}
        for name in set(self.candidates) - kept:
            del self.candidates[name]


def _weigh_branch(x: Tensor, candidate: MBConv, weight: Tensor) -> Tensor:
    """The residual branch of one candidate times its weight, as every single path has it."""
    norm = cast("Norm", candidate.project_norm)
    scale, shift = (cast("Tensor", parameter) * weight for parameter in (norm.weight, norm.bias))
    return batch_norm(candidate.branch_before_norm(x), [norm], scale, shift)


def _add_branches(x: Tensor, candidates: Sequence[MBConv], weights: Tensor) -> Tensor:
    """The weighted sum of the residual branches of several candidates, sorted by kernel."""
    expanded = pointwise(x, torch.cat([candidate.expand.weight for candidate in candidates]))
    expanded = F.silu(affine_batch_norm(expanded, [candidate.expand_norm for candidate in candidates]))
    groups = [list(group) for _, group in groupby(candidates, key=lambda candidate: candidate.operation.kernel)]
    parts = expanded.split([sum(candidate.channels for candidate in group) for group in groups], 1)
    projected = [branch for group, part in zip(groups, parts, strict=True) for branch in _project(part, group)]
    branches = affine_batch_norm(
        torch.cat(projected, 1), [candidate.project_norm for candidate in candidates], weights[:, None]
    )
    total: Tensor = branches.unflatten(1, (len(candidates), -1)).sum(1)
    return total


def _project(x: Tensor, group: Sequence[MBConv]) -> list[Tensor]:
    """The branches of candidates of one kernel size, before their last norm.

    `x` holds their expanded maps side by side in channels.
    """
    channels = [candidate.channels for candidate in group]
    x = depthwise(x, torch.cat([candidate.depthwise.weight for candidate in group]), group[0].layout.stride)
    x = F.silu(affine_batch_norm(x, [candidate.depthwise_norm for candidate in group]))
    pooled = x.mean((2, 3)).split(channels, 1)
    gates = torch.cat([candidate.gate(mean) for candidate, mean in zip(group, pooled, strict=True)], 1)
    gated = (x * gates[:, :, None, None]).split(channels, 1)
    return [pointwise(part, candidate.project.weight) for candidate, part in zip(group, gated, strict=True)]
