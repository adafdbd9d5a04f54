"""The supernet: every architecture of the space, each candidate weighed by its choice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from nasplug.builtin.darts.layers import make_stem
from nasplug.builtin.darts.layout import CellLayout, NetworkLayout, tap_cells
from nasplug.builtin.darts.supernet_cell import SupernetCell
from nasplug.parts import Block, Choices, Layer, Outputs, Supernet
from nasplug.parts.choice import Columns
from nasplug.supernets import Norm, recalibrate
from nasplug.supernets.candidate_groups import CellGroups
from nasplug.supernets.execution_plan import ExecutionPlan, PlanCache, Positions
from nasplug.values import ImageShape, MapShape


class DartsSupernet(Supernet):
    """Every node is the weighted sum of its candidates (DARTS, equation 2, or over a whole node as in SNPS).

    Batch norms of cells are not affine, pools are followed by one (DARTS, model_search.py). Exactly equal to computing
    one candidate after the other, but batched: see `nasplug.builtin.darts.candidates`. Batch norms use batch
    statistics until `recalibrate` has measured the statistics for evaluation.
    """

    static_graph = True

    def __init__(
        self,
        layout: NetworkLayout,
        choices: Choices,
        shape: ImageShape,
        make_cell: Callable[[CellLayout], SupernetCell],
    ) -> None:
        """`make_cell` makes the cells one by one, after the stem and before the classifier."""
        super().__init__()
        self.choices = choices
        self._layout = layout
        self.stem = make_stem(
            layout.stem, shape.channels, layout.stem_channels[0], partial(Norm, affine=True), shape.dims
        )
        self.cells = nn.ModuleList(make_cell(cell) for cell in layout.cells)
        self.classifier = nn.Linear(layout.out_channels, shape.classes)
        self._plan_cache: PlanCache[tuple[CellGroups, ...]] = PlanCache()

    def candidate_weights(self) -> Tensor:
        """The weight with which each candidate is added to its node, (choices, candidates): that of its choice.

        A derived supernet in which other parameters weigh the edges multiplies by these.
        """
        return self.choices.weights()

    def outputs(self, images: Tensor) -> Outputs:
        """Logits, and as taps the outputs of the cells before each reduction and of the last cell."""
        plan = self._execution_plan()
        weights = plan.split(self.candidate_weights())
        older, newer = self.stem(images.contiguous(memory_format=torch.channels_last))
        taps, first = [], 0
        for number, (cell, groups) in enumerate(zip(self.cells, plan.wiring, strict=True)):
            after = first + len(groups.positions)
            older, newer = newer, cell(older, newer, groups, weights[first:after], self.skip_dropout)
            first = after
            if number in tap_cells(len(self.cells)):
                taps.append(newer)
        return Outputs(logits=self.classifier(newer.mean((2, 3))), taps=tuple(taps))

    def prune(self) -> None:
        """Removes the modules of deleted candidates. The function computed stays the same."""
        self.choices.refresh()
        kept = tuple(tuple(column for column, held in enumerate(row) if held) for row in self.choices.kept.tolist())
        for cell in self._cells():
            cell.prune(kept)

    def whole(self) -> Block:
        """The whole network, a layer for each cell."""
        return Block(
            inputs=(),
            output=None,
            enter=lambda maps: self.stem(maps[0].contiguous(memory_format=torch.channels_last)),
            layers=tuple(self._layer(cell.index) for cell in self._layout.cells),
            leave=lambda states: self.classifier(states[1].mean((2, 3))),
            modules=(self,),
        )

    def blocks(self) -> tuple[Block, ...]:
        """A block for each tap: the cells after the previous tap, up to that of the tap. The first reads images."""
        ends = tap_cells(len(self.cells))
        starts = (0, *(end + 1 for end in ends[:-1]))
        return tuple(self._block(start, end) for start, end in zip(starts, ends, strict=True))

    def _block(self, start: int, end: int) -> Block:
        cells = self._layout.cells
        inputs = () if start == 0 else tuple(cells[start].input_shape(source) for source in (0, 1))
        modules = tuple(self.cells[index] for index in range(start, end + 1))
        nodes = cast("SupernetCell", self.cells[end]).nodes
        return Block(
            inputs=inputs,
            output=MapShape(cells[end].channels * nodes, cells[end].out_size, cells[end].dims),
            enter=self.whole().enter if start == 0 else tuple,
            layers=tuple(self._layer(index) for index in range(start, end + 1)),
            leave=lambda states: states[1],
            modules=(self.stem, *modules) if start == 0 else modules,
        )

    def _layer(self, index: int) -> Layer:
        cell = cast("SupernetCell", self.cells[index])

        def compute(states: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            plan = self._execution_plan()
            weights = plan.split(self.candidate_weights())
            first = sum(len(groups.positions) for groups in plan.wiring[:index])
            groups = plan.wiring[index]
            mine = weights[first : first + len(groups.positions)]
            return states[1], cell(*states, groups, mine, self.skip_dropout)

        return Layer(rows=tuple(sorted({member.row for member in cell.members})), module=cell, compute=compute)

    def recalibrate(self, batches: Iterable[Tensor]) -> None:
        """Measures the statistics of batch norms for evaluation, on batches of images with the present choices."""
        recalibrate(self, batches)

    def _cells(self) -> Iterator[SupernetCell]:
        return (cast("SupernetCell", cell) for cell in self.cells)

    def _execution_plan(self) -> ExecutionPlan[tuple[CellGroups, ...]]:
        return self._plan_cache.get(self.choices, self._group)

    def _group(self, computed: Columns) -> tuple[tuple[CellGroups, ...], Positions]:
        by_cell = tuple(cell.find_groups(computed) for cell in self._cells())
        return by_cell, [positions for groups in by_cell for positions in groups.positions]
