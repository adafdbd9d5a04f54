"""The supernet: every architecture of the space, weighed by its choices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import cast

import attrs
import torch
from torch import Tensor, nn

from nasplug.builtin.darts.choosing import columns
from nasplug.builtin.darts.plan import NetworkPlan, tapped
from nasplug.builtin.darts.stem import build_stem
from nasplug.builtin.darts.supernet_cell import SupernetCell
from nasplug.builtin.darts.wiring import Wiring, wire
from nasplug.parts import Choices, Outputs, Supernet
from nasplug.supernet import Norm, recalibrate
from nasplug.values import ImageShape

Alive = tuple[tuple[int, ...], ...]


@attrs.frozen(eq=False)
class _Order:
    """How the network is computed while the same candidates count."""

    alive: Alive
    wirings: tuple[Wiring, ...]
    index: Tensor
    """Where, in the flattened table of weights, the weight of each computed candidate stands."""
    sizes: tuple[int, ...]
    """How many of these weights each batch has."""


class DartsSupernet(Supernet):
    """Every node is the weighted sum of its candidates (DARTS, equation 2, or over a whole node as in SNPS).

    Batch norms of cells are not affine, pools are followed by one (DARTS, model_search.py). Exactly equal to computing
    one candidate after the other, but batched: see `nasplug.builtin.darts.candidates`. Batch norms use batch
    statistics; `recalibrate` measures those with which the network is evaluated.
    """

    def __init__(self, plan: NetworkPlan, choices: Choices, nodes: int, shape: ImageShape, per_cell: bool) -> None:
        super().__init__()
        self.choices = choices
        self.stem = build_stem(plan.stem, shape.channels, plan.stem_channels[0], partial(Norm, affine=True))
        self.cells = nn.ModuleList(
            SupernetCell(cell, nodes, tuple(columns(choices, str(cell.index) if per_cell else cell.kind, nodes)))
            for cell in plan.cells
        )
        self.classifier = nn.Linear(plan.out_channels, shape.classes)
        self._order: _Order | None = None

    def outputs(self, images: Tensor) -> Outputs:
        """Logits, and as taps the outputs of the cells before each reduction and of the last cell."""
        order = self._ordered()
        weights = self.choices.weights().flatten().index_select(0, order.index).split(order.sizes)
        older, newer = self.stem(images.contiguous(memory_format=torch.channels_last))
        taps, first = [], 0
        for number, (cell, wiring) in enumerate(zip(self.cells, order.wirings, strict=True)):
            after = first + len(wiring.positions)
            older, newer = newer, cell(older, newer, wiring, weights[first:after])
            first = after
            if number in tapped(len(self.cells)):
                taps.append(newer)
        return Outputs(logits=self.classifier(newer.mean((2, 3))), taps=tuple(taps))

    def prune(self) -> None:
        """Removes the modules of deleted candidates. The function computed stays the same."""
        kept = self.choices.kept.tolist()
        for cell in self._cells():
            cell.prune(kept)

    def recalibrate(self, batches: Iterable[Tensor]) -> None:
        """Measures the batch norms' statistics for evaluation on batches of images, with what now counts and weighs."""
        recalibrate(self, batches)

    def _cells(self) -> Iterator[SupernetCell]:
        return (cast("SupernetCell", cell) for cell in self.cells)

    def _ordered(self) -> _Order:
        alive, device = self.choices.alive, self.choices.alpha.device
        order = self._order
        if order is None or order.alive != alive or order.index.device != device:
            wirings = tuple(wire(cell.columns, alive, cell.nodes) for cell in self._cells())
            batches = [batch for wiring in wirings for batch in wiring.positions]
            width = self.choices.alpha.shape[1]
            index = [row * width + column for batch in batches for row, column in batch]
            sizes = tuple(len(batch) for batch in batches)
            self._order = order = _Order(alive, wirings, torch.tensor(index, dtype=torch.long, device=device), sizes)
        return order
