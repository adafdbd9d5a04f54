"""The supernet: every architecture of the space, weighed by its choices."""

from __future__ import annotations

from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from nasplug.builtin.nb201.names import KERNELS, PLACES
from nasplug.builtin.nb201.plan import NetworkPlan
from nasplug.builtin.nb201.skeleton import Skeleton
from nasplug.builtin.nb201.supernet_cell import SupernetCell, candidate_name
from nasplug.builtin.nb201.wiring import Wiring, wire
from nasplug.parts import Block, Choices, Layer, Outputs, Supernet
from nasplug.parts.choice import Columns
from nasplug.supernets import Norm
from nasplug.supernets.execution_plan import ExecutionPlan, PlanCache, Positions


class NasBench201Supernet(Supernet):
    """The network of the benchmark with all candidates on each edge of its one cell, as DARTS-V1 searches it.

    Batch norms of cells are not affine, and pools have none. Exactly equal to computing one candidate after the
    other, but shared and batched: see `SupernetCell`. Batch norms use batch statistics until
    `nasplug.supernets.recalibrate` has measured them.
    """

    static_graph = True

    def __init__(self, plan: NetworkPlan, choices: Choices, operations: tuple[str, ...]) -> None:
        super().__init__()
        self.choices = choices
        self.plan, self._operations = plan, operations
        self.skeleton = Skeleton(plan, partial(Norm, affine=True))
        self.stages = nn.ModuleList(
            nn.ModuleList(SupernetCell(stage.channels, operations) for _ in range(plan.cells)) for stage in plan.stages
        )
        self._plan_cache: PlanCache[Wiring] = PlanCache()

    def outputs(self, images: Tensor) -> Outputs:
        """Logits, and as taps the outputs of the three stages."""
        order = self._execution_plan()
        weights = order.split(self.choices)
        images = images.contiguous(memory_format=torch.channels_last)
        return self.skeleton.run(images, lambda number, x: self._stage(number, x, order.wiring, weights))

    def prune(self) -> None:
        """Removes the modules of deleted candidates. The function computed stays the same."""
        self.choices.refresh()
        kept = self.choices.kept.tolist()
        doomed = [
            candidate_name(name, where)
            for where, row in zip(PLACES, kept, strict=True)
            for name, keep in zip(self._operations, row, strict=True)
            if not keep
        ]
        for stage in self.stages:
            for cell in cast("nn.ModuleList", stage):
                cast("SupernetCell", cell).prune(doomed)

    def blocks(self) -> tuple[Block, ...]:
        """A block for each stage. The first reads images."""
        return tuple(self._block(number) for number in range(len(self.stages)))

    def _block(self, number: int) -> Block:
        def compute(x: Tensor) -> Tensor:
            order = self._execution_plan()
            return self._stage(number, x, order.wiring, order.split(self.choices))

        entry = self.skeleton.residuals[number - 1] if number else self.skeleton.stem
        cells = self.stages[number]
        return Block(
            inputs=(self.plan.stages[number - 1],) if number else (),
            output=self.plan.stages[number],
            enter=lambda maps: self.skeleton.enter(number, maps[0].contiguous(memory_format=torch.channels_last)),
            layers=(Layer(rows=tuple(range(len(self.choices))), module=cells, compute=compute),),
            leave=lambda x: x,
            modules=(entry, cells),
        )

    def _stage(self, number: int, x: Tensor, wiring: Wiring, weights: tuple[Tensor, ...]) -> Tensor:
        channels = self.plan.stages[number].channels
        scales = [
            weight.unsqueeze(1).expand(-1, channels).reshape(-1) if batch.operation in KERNELS else weight
            for batch, weight in zip(wiring.batches, weights, strict=True)
        ]
        for cell in cast("nn.ModuleList", self.stages[number]):
            x = cell(x, wiring, scales)
        return x

    def _execution_plan(self) -> ExecutionPlan[Wiring]:
        return self._plan_cache.get(self.choices, self._wired)

    def _wired(self, computed: Columns) -> tuple[Wiring, Positions]:
        wiring = wire(self._operations, computed)
        return wiring, wiring.positions
