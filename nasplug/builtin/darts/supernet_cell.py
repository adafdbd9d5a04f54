"""One cell of a supernet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin.darts.candidates import Candidate, Halving, Projection, candidate
from nasplug.builtin.darts.names import POOLS, SKIP
from nasplug.builtin.darts.plan import CellPlan
from nasplug.builtin.darts.wiring import CandidateGroup, Column, Wiring, module_name
from nasplug.supernets import Norm
from nasplug.supernets.accumulate import add, add_split, add_weighted

TOGETHER = 2 << 20
"""Bytes of a map up to which candidates are computed side by side on a CPU.

Small maps gain by fewer and larger operations, large ones lose by leaving the cache: side by side, the eight 5x5
candidates of two states of 16 channels and 32x32 pixels, batch 64, take 2.3 times as long as one after the other.
"""


class States:
    """The states of a cell during one pass, with what all edges that leave a state share: its ReLU and its pools."""

    def __init__(self, plan: CellPlan, pool_norms: nn.ModuleDict) -> None:
        self.raw: list[Tensor | None] = []
        self._plan = plan
        self._pool_norms = pool_norms
        self._rectified: dict[int, Tensor] = {}

    def rectified(self, number: int) -> Tensor:
        """The state after its ReLU."""
        if number not in self._rectified:
            self._rectified[number] = F.relu(self[number])
        return self._rectified[number]

    def pooled(self, pool: str, number: int) -> Tensor:
        """The state after a pool and its batch norm."""
        stride = self._plan.stride(number)
        if pool == "max_pool_3x3":
            x = F.max_pool2d(self[number], 3, stride, padding=1)
        else:
            x = F.avg_pool2d(self[number], 3, stride, padding=1, count_include_pad=False)
        normed: Tensor = self._pool_norms[f"{pool}@{number}"](x)
        return normed

    def __getitem__(self, number: int) -> Tensor:
        state = self.raw[number]
        assert state is not None, number  # noqa: S101 - a state that is read was computed, by the wiring
        return state


class SupernetCell(nn.Module):
    """All candidates of one cell. `columns` says which they are and where in the table of choices they stand."""

    def __init__(self, plan: CellPlan, nodes: int, columns: Sequence[Column]) -> None:
        super().__init__()
        self.plan, self.nodes, self.columns = plan, nodes, tuple(columns)
        older, newer = plan.inputs
        self.older = (Halving if plan.halves_older else Projection)(older, plan.channels)
        self.newer = Projection(newer, plan.channels)
        self.candidates = nn.ModuleDict()
        self.pool_norms = nn.ModuleDict()
        for node, pick, _, _ in columns:
            module = candidate(pick.operation, plan.channels, plan.stride(pick.input))
            if module is not None:
                self.candidates[module_name(node, pick)] = module
            elif pick.operation in POOLS and str(pick) not in self.pool_norms:
                self.pool_norms[str(pick)] = Norm(plan.channels)

    def forward(self, older: Tensor, newer: Tensor, wiring: Wiring, weights: Sequence[Tensor]) -> Tensor:
        """The outputs of cells k-2 and k-1 to (N, nodes * channels, H, W), with a weight vector for each batch."""
        states = States(self.plan, self.pool_norms)
        states.raw = [self.older(older) if wiring.reads(0) else None, self.newer(newer) if wiring.reads(1) else None]
        totals: dict[int, Tensor] = {}
        for node, wave in enumerate(wiring.waves, 2):
            sums: dict[tuple[int, ...], Tensor] = {}
            for batch in wave:
                if batch.names[0] in self.candidates:
                    for nodes, term in self._compute(batch, states, weights[batch.weights]):
                        # Terms for the same nodes are added side by side, before they are split into nodes.
                        add(sums, nodes, term)
                else:
                    self._weigh(batch, states, weights[batch.weights], totals)
            add_split(totals, sums)
            states.raw.append(totals[node] if node in totals else self._nothing(newer))
        return torch.cat([states[node] for node in range(2, self.nodes + 2)], 1)

    def prune(self, kept: Sequence[Sequence[bool]]) -> None:
        """Removes the modules of candidates that the table of choices no longer keeps."""
        for node, pick, row, column in self.columns:
            name = module_name(node, pick)
            if not kept[row][column] and name in self.candidates:
                del self.candidates[name]

    def _compute(
        self, batch: CandidateGroup, states: States, weight: Tensor
    ) -> Iterator[tuple[tuple[int, ...], Tensor]]:
        """For the states that a batch with parameters reads: nodes, and their terms side by side."""
        modules = [cast("Candidate", self.candidates[name]) for name in batch.names]
        pairs = [(state, node) for state, nodes in batch.readers for node in nodes]
        together = _together(states.rectified(pairs[0][0]), len(pairs))
        for first in range(0, len(pairs), together):
            part = slice(first, first + together)
            yield from self._convolve(modules[part], pairs[part], states, weight[part])

    def _convolve(
        self, modules: Sequence[Candidate], pairs: Sequence[tuple[int, int]], states: States, weight: Tensor
    ) -> Iterator[tuple[tuple[int, ...], Tensor]]:
        """The terms of candidates that are computed side by side; each reads a state and adds to a node."""
        readers = [(state, tuple(node for _, node in found)) for state, found in groupby(pairs, itemgetter(0))]
        sources = [(states.rectified(state), len(nodes)) for state, nodes in readers]
        scale = weight.unsqueeze(1).expand(-1, self.plan.channels).reshape(-1)
        computed = type(modules[0]).batched(modules, sources, self.plan.stride(pairs[0][0]), scale)
        sizes = [len(nodes) * self.plan.channels for _, nodes in readers]
        terms = computed.split(sizes, 1) if len(sizes) > 1 else (computed,)
        for (_, nodes), term in zip(readers, terms, strict=True):
            yield nodes, term

    def _weigh(self, batch: CandidateGroup, states: States, weight: Tensor, totals: dict[int, Tensor]) -> None:
        """Adds the terms of a batch without parameters (identities, pools) to the totals of its nodes."""
        parts = weight.split([len(nodes) for _, nodes in batch.readers])
        for (state, nodes), part in zip(batch.readers, parts, strict=True):
            x = states[state] if batch.operation == SKIP else states.pooled(batch.operation, state)
            add_weighted(totals, nodes, x, part)

    def _nothing(self, like: Tensor) -> Tensor:
        """The state of a node to which no candidate adds."""
        size = self.plan.out_size
        return like.new_zeros(like.shape[0], self.plan.channels, size, size)


def _together(x: Tensor, candidates: int) -> int:
    """How many candidates that read maps such as `x` are computed side by side."""
    return candidates if x.device.type != "cpu" else max(1, TOGETHER // (x.numel() * x.element_size()))
