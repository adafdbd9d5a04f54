"""The nodes of a cell of a stand-alone network, with candidates of one kind computed side by side.

As in the supernet, edges that leave one state share its ReLU and its pools, and candidates of one kind whose inputs are
ready run as one grouped convolution. The nodes and all gradients are those of the modules called one by one; only sums
are rounded in another order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import cast

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin.darts.genotype import DILATED, POOLS, SEPARABLE, Pick
from nasplug.builtin.darts.layers import FactorizedReduce, compute_reductions, compute_separable
from nasplug.supernets.accumulate import add
from nasplug.supernets.candidate_groups import CellCandidate, count_side_by_side, group_candidates


@attrs.frozen
class Edge:
    """One candidate of a cell: the name of its module, the state that it reads, and the node to which it is added."""

    name: str
    state: int
    node: int


@attrs.frozen
class EdgeGroup:
    """Candidates of one operation that can be computed at the same time, sorted by state."""

    operation: str
    edges: tuple[Edge, ...]


def group_edges(nodes: Sequence[Mapping[str, Pick]]) -> tuple[tuple[EdgeGroup, ...], ...]:
    """For each node, the groups of candidates that can be computed once all nodes before it are complete.

    `nodes` holds the candidates of each node by the names of their modules.
    """
    members = [
        CellCandidate(pick.operation, pick.input, number + 2, number, column)
        for number, node in enumerate(nodes)
        for column, pick in enumerate(node.values())
    ]
    groups = group_candidates(members, waves=len(nodes), wave_of=lambda state: max(0, state - 1))
    names = [list(node) for node in nodes]
    return tuple(
        tuple(
            EdgeGroup(
                group.operation,
                tuple(
                    Edge(names[row][column], state, row + 2)
                    for (state, _), (row, column) in zip(group.edges, groups.positions[group.number], strict=True)
                ),
            )
            for group in wave
        )
        for wave in groups.waves
    )


class CellPass:
    """One forward pass through the candidates of a cell, in training on a CPU."""

    def __init__(self, operations: nn.ModuleDict, states: dict[int, Tensor], masks: Mapping[str, Tensor]) -> None:
        """`states` holds the inputs of the cell that are read; `masks` factors (N, 1, 1, 1) of candidates by name."""
        self.states = states
        self._operations, self._masks = operations, masks
        self._relus: dict[int, Tensor] = {}
        self._pools: dict[tuple[str, int], Tensor] = {}
        self._totals: dict[int, Tensor] = {}
        self._shared: dict[int, list[Tensor]] = {}
        """For each node, terms that something else reads, too: nothing may be added to them in place."""

    def compute(self, waves: Sequence[Sequence[EdgeGroup]]) -> dict[int, Tensor]:
        """Computes all nodes, and returns all states."""
        for node, wave in enumerate(waves, 2):
            for group in wave:
                if self._runs_side_by_side(group):
                    self._compute_together(group.edges)
                else:
                    for edge in group.edges:
                        self._compute_alone(group.operation, edge)
            self.states[node] = self._complete(node)
        return self.states

    def _runs_side_by_side(self, group: EdgeGroup) -> bool:
        if group.operation in SEPARABLE or group.operation in DILATED:
            return True
        return isinstance(self._operations[group.edges[0].name], FactorizedReduce)

    def _compute_together(self, edges: Sequence[Edge]) -> None:
        at_once = count_side_by_side(self._relu(edges[0].state), len(edges))
        for first in range(0, len(edges), at_once):
            part = edges[first : first + at_once]
            sources = [(self._relu(state), len(list(run))) for state, run in groupby(part, attrgetter("state"))]
            modules = [self._operations[edge.name] for edge in part]
            if isinstance(modules[0], FactorizedReduce):
                result = compute_reductions(cast("list[FactorizedReduce]", modules), sources)
            else:
                result = compute_separable(cast("list[nn.Sequential]", modules), sources)
            if self._masks:
                factors = torch.cat([self._masks[edge.name] for edge in part], 1)
                result = result * factors.repeat_interleave(result.shape[1] // len(part), 1)
            terms = result.chunk(len(part), 1) if len(part) > 1 else (result,)
            for edge, term in zip(part, terms, strict=True):
                add(self._totals, edge.node, term)

    def _compute_alone(self, operation: str, edge: Edge) -> None:
        module = self._operations[edge.name]
        term = self._pool(operation, edge) if operation in POOLS else module(self.states[edge.state])
        if edge.name in self._masks:
            add(self._totals, edge.node, term * self._masks[edge.name])
        elif operation in POOLS or isinstance(module, nn.Identity):
            self._shared.setdefault(edge.node, []).append(term)
        else:
            add(self._totals, edge.node, term)

    def _complete(self, node: int) -> Tensor:
        """The sum of the terms of a node."""
        shared = self._shared.pop(node, [])
        if node not in self._totals:
            self._totals[node] = sum(shared[1:], start=shared[0])
        else:
            for term in shared:
                add(self._totals, node, term)
        return self._totals.pop(node).contiguous(memory_format=torch.channels_last)

    def _pool(self, pool: str, edge: Edge) -> Tensor:
        if (pool, edge.state) not in self._pools:
            self._pools[pool, edge.state] = self._operations[edge.name](self.states[edge.state])
        return self._pools[pool, edge.state]

    def _relu(self, state: int) -> Tensor:
        if state not in self._relus:
            self._relus[state] = F.relu(self.states[state])
        return self._relus[state]
