"""The supernet: every architecture of the space, each candidate weighed by its choice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin.nb201.genotype import EDGES, KERNELS, LAST, NONE, PLACES, POOL, error_location
from nasplug.builtin.nb201.network import NetworkLayout, Skeleton
from nasplug.parts import Block, Choices, Layer, Outputs, Supernet
from nasplug.parts.choice import Columns
from nasplug.supernets import Norm, batch_norm, pointwise
from nasplug.supernets.accumulate import add, add_split, add_weighted
from nasplug.supernets.candidate_groups import (
    CandidateGroup,
    CellCandidate,
    CellGroups,
    group_candidates,
    repeat_for_channels,
)
from nasplug.supernets.execution_plan import ExecutionPlan, PlanCache, Positions


def candidate_name(operation: str, place: str) -> str:
    """The name of a candidate's module within its cell."""
    return f"{operation}@{place}"


def find_groups(operations: Sequence[str], computed: Columns) -> CellGroups:
    """The groups of a cell when the columns `computed` of each row (edge) of the table of choices are computed.

    Left out is what cannot matter: `none`, candidates that read a node which no candidate reaches (its state is zero),
    and candidates from which no path leads to the output.
    """
    edges = [
        edge
        for edge, columns in zip(EDGES, computed, strict=True)
        if any(operations[column] != NONE for column in columns)
    ]
    reached, used = {0}, {LAST}
    for target, source in edges:  # sorted by target
        reached |= {target} if source in reached else set()
    for target, source in reversed(edges):
        used |= {source} if target in used else set()
    candidates = [
        CellCandidate(operations[column], source, target, row, column)
        for row, (target, source) in enumerate(EDGES)
        for column in computed[row]
        if operations[column] != NONE and source in reached & used and target in used
    ]
    # Those with weights come first: their sum is a new map, to which the others are added in place.
    candidates.sort(key=lambda candidate: candidate.operation not in KERNELS)
    return group_candidates(candidates, waves=LAST, wave_of=lambda source: source)


class Convolution(nn.Module):
    """The weights and the batch norm (not affine) of one candidate: ReLU, convolution, batch norm."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, kernel, bias=False)
        self.norm = Norm(channels)


class SupernetCell(nn.Module):
    """All candidates of one cell. Its nodes are weighted sums (DARTS-V1 on NAS-Bench-201).

    What the edges that leave a node share is computed once: the node's ReLU, its pool, and as one dense convolution
    all candidates of one kernel size. Weights of candidates replace the affine parameters of batch norms.
    """

    def __init__(self, channels: int, operations: Sequence[str]) -> None:
        super().__init__()
        self.candidates = nn.ModuleDict(
            {
                candidate_name(name, place): Convolution(channels, KERNELS[name])
                for place in PLACES
                for name in operations
                if name in KERNELS
            }
        )

    def forward(self, x: Tensor, groups: CellGroups, weights: Sequence[Tensor]) -> Tensor:
        """(N, C, H, W) to the same shape.

        `weights` holds a vector for each group: a weight for each candidate, or where candidates have parameters for
        each of their channels.
        """
        states: dict[int, Tensor] = {0: x}
        for source, wave in enumerate(groups.waves):
            sums = dict[tuple[int, ...], Tensor]()
            rectified = None
            for group in wave:
                state, ((_, targets),), weight = states[source], group.readers, weights[group.number]
                if group.operation in KERNELS:
                    rectified = F.relu(state) if rectified is None else rectified
                    # Terms for the same nodes are added side by side, before they are split into nodes.
                    add(sums, targets, self._convolve(group, rectified, weight))
                    continue
                add_split(states, sums)
                sums.clear()
                term = F.avg_pool2d(state, 3, 1, 1, count_include_pad=False) if group.operation == POOL else state
                add_weighted(states, targets, term, weight)
            add_split(states, sums)
        return states[LAST] if LAST in states else torch.zeros_like(x)

    def prune(self, names: Sequence[str]) -> None:
        """Removes the modules of these candidates, where they still exist."""
        for name in names:
            if name in self.candidates:
                del self.candidates[name]

    def _convolve(self, group: CandidateGroup, x: Tensor, weight: Tensor) -> Tensor:
        """The group's results side by side, (N, candidates * C, H, W)."""
        names = [candidate_name(group.operation, error_location(target, source)) for source, target in group.edges]
        modules = [cast("Convolution", self.candidates[name]) for name in names]
        kernel = torch.cat([module.convolution.weight for module in modules])
        x = pointwise(x, kernel) if KERNELS[group.operation] == 1 else F.conv2d(x, kernel, padding=1)
        return batch_norm(x, [module.norm for module in modules], weight)


class NasBench201Supernet(Supernet):
    """The network of the benchmark with all candidates on each edge of its one cell, as DARTS-V1 searches it.

    Batch norms of cells are not affine, and pools have none. Exactly equal to computing one candidate after the
    other, but shared and batched: see `SupernetCell`. Batch norms use batch statistics until
    `nasplug.supernets.recalibrate` has measured the statistics for evaluation.
    """

    static_graph = True

    def __init__(self, layout: NetworkLayout, choices: Choices, operations: tuple[str, ...]) -> None:
        super().__init__()
        self.choices = choices
        self.layout, self._operations = layout, operations
        self.skeleton = Skeleton(layout, partial(Norm, affine=True))
        self.stages = nn.ModuleList(
            nn.ModuleList(SupernetCell(stage.channels, operations) for _ in range(layout.cells))
            for stage in layout.stages
        )
        self._plan_cache: PlanCache[CellGroups] = PlanCache()

    def outputs(self, images: Tensor) -> Outputs:
        """Logits, and as taps the outputs of the three stages."""
        plan = self._execution_plan()
        weights = plan.split(self.choices.weights())
        images = images.contiguous(memory_format=torch.channels_last)
        return self.skeleton.run(images, lambda number, x: self._run_stage(number, x, plan.wiring, weights))

    def prune(self) -> None:
        """Removes the modules of deleted candidates. The function computed stays the same."""
        self.choices.refresh()
        deleted = [
            candidate_name(name, place)
            for place, row in zip(PLACES, self.choices.kept.tolist(), strict=True)
            for name, kept in zip(self._operations, row, strict=True)
            if not kept
        ]
        for stage in self.stages:
            for cell in cast("nn.ModuleList", stage):
                cast("SupernetCell", cell).prune(deleted)

    def blocks(self) -> tuple[Block, ...]:
        """A block for each stage. The first reads images."""
        return tuple(self._block(number) for number in range(len(self.stages)))

    def _block(self, number: int) -> Block:
        def compute(x: Tensor) -> Tensor:
            plan = self._execution_plan()
            return self._run_stage(number, x, plan.wiring, plan.split(self.choices.weights()))

        entry = self.skeleton.residuals[number - 1] if number else self.skeleton.stem
        cells = self.stages[number]
        return Block(
            inputs=(self.layout.stages[number - 1],) if number else (),
            output=self.layout.stages[number],
            enter=lambda maps: self.skeleton.enter(number, maps[0].contiguous(memory_format=torch.channels_last)),
            layers=(Layer(rows=tuple(range(len(self.choices))), module=cells, compute=compute),),
            leave=lambda x: x,
            modules=(entry, cells),
        )

    def _run_stage(self, number: int, x: Tensor, groups: CellGroups, weights: tuple[Tensor, ...]) -> Tensor:
        channels = self.layout.stages[number].channels
        scales = [
            repeat_for_channels(weights[group.number], channels)
            if group.operation in KERNELS
            else weights[group.number]
            for wave in groups.waves
            for group in wave
        ]
        for cell in cast("nn.ModuleList", self.stages[number]):
            x = cell(x, groups, scales)
        return x

    def _execution_plan(self) -> ExecutionPlan[CellGroups]:
        return self._plan_cache.get(self.choices, self._group)

    def _group(self, computed: Columns) -> tuple[CellGroups, Positions]:
        groups = find_groups(self._operations, computed)
        return groups, groups.positions
