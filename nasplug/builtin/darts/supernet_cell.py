"""One cell of a supernet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin.darts.candidates import Candidate, Projection, Reduction, make_candidate
from nasplug.builtin.darts.genotype import NONE, POOLS, SKIP
from nasplug.builtin.darts.layout import CellLayout
from nasplug.builtin.layers import pool_arguments
from nasplug.parts import SkipDropout
from nasplug.parts.choice import Columns
from nasplug.supernets import Norm
from nasplug.supernets.accumulate import add, add_split, add_weighted
from nasplug.supernets.candidate_groups import (
    CandidateGroup,
    CellCandidate,
    CellGroups,
    count_side_by_side,
    group_candidates,
    repeat_for_channels,
)
from nasplug.values import sides


class States:
    """The states of a cell during one forward pass, and the ReLU of each, which all edges that leave it share."""

    def __init__(
        self, layout: CellLayout, pool_norms: nn.ModuleDict, drop: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        self.drop = drop
        """Dropout after an identity, with another mask in every call; None: there is none."""
        self.values: list[Tensor | None] = []
        """States 0, 1, 2, ...; None for an input that no candidate reads."""
        self._layout = layout
        self._pool_norms = pool_norms
        self._relu: dict[int, Tensor] = {}

    def relu(self, number: int) -> Tensor:
        """The state after its ReLU."""
        if number not in self._relu:
            self._relu[number] = F.relu(self[number])
        return self._relu[number]

    def pool(self, pool: str, number: int) -> Tensor:
        """The state after a pool and its batch norm."""
        pooling = pool_arguments(self._layout.stride(number), self._layout.dims)
        if pool == "max_pool_3x3":
            x = F.max_pool2d(self[number], **pooling)
        else:
            x = F.avg_pool2d(self[number], **pooling, count_include_pad=False)
        normed: Tensor = self._pool_norms[pool_name(pool, number)](x)
        return normed

    def __getitem__(self, number: int) -> Tensor:
        state = self.values[number]
        assert state is not None, number  # noqa: S101 - groups are computed in waves, after the states that they read
        return state


class SupernetCell(nn.Module):
    """All candidates of one cell; `members` lists them, `none` included.

    `channels` is the width of the candidates, by default that of the nodes. A derived cell whose candidates are
    narrower overrides `forward`.
    """

    def __init__(
        self, layout: CellLayout, nodes: int, members: Iterable[CellCandidate], channels: int | None = None
    ) -> None:
        super().__init__()
        self.layout, self.nodes, self.members = layout, nodes, tuple(members)
        self.channels = layout.channels if channels is None else channels
        older, newer = layout.inputs
        self.older = (Reduction if layout.halves_older else Projection)(older, layout.channels)
        self.newer = Projection(newer, layout.channels)
        self.candidates = nn.ModuleDict()
        self.pool_norms = nn.ModuleDict()
        for member in self.members:
            module = make_candidate(member.operation, self.channels, layout.stride(member.source), layout.dims)
            if module is not None:
                self.candidates[candidate_name(member.operation, member.source, member.target)] = module
            elif member.operation in POOLS and pool_name(member.operation, member.source) not in self.pool_norms:
                self.pool_norms[pool_name(member.operation, member.source)] = Norm(self.channels)

    def find_groups(self, computed: Columns) -> CellGroups:
        """The groups of the cell when the columns `computed` of each row of the table of choices are computed.

        The first wave reads both inputs of the cell; its end completes node 2, which the second wave reads, and so on.
        `none` is left out: it adds nothing.
        """
        members = (member for member in self.members if member.operation != NONE and self.is_held(member, computed))
        return group_candidates(members, waves=self.nodes, wave_of=lambda state: max(0, state - 1))

    def is_held(self, member: CellCandidate, columns: Columns) -> bool:
        """Whether a candidate is left when these columns of each row of the table of choices are."""
        return member.column in columns[member.row]

    def forward(
        self,
        older: Tensor,
        newer: Tensor,
        groups: CellGroups,
        weights: Sequence[Tensor],
        skip_dropout: SkipDropout | None = None,
    ) -> Tensor:
        """The outputs of cells k-2 and k-1 to (N, nodes * channels, H, W), with a weight vector for each group.

        In training mode, identities are followed by `skip_dropout`, each with a mask of its own. Skip connections of
        stride 2 are not, as in P-DARTS: they have weights to learn.
        """
        states = self.make_states(newer.device, skip_dropout)
        states.values = self.preprocess(older, newer, groups)
        totals: dict[int, Tensor] = {}
        for node, wave in enumerate(groups.waves, 2):
            self.add_terms(wave, states, weights, totals)
            states.values.append(totals[node] if node in totals else self.zeros(newer, self.channels))
        return torch.cat([states[node] for node in range(2, self.nodes + 2)], 1)

    def make_states(self, device: torch.device, skip_dropout: SkipDropout | None) -> States:
        """The states of a forward pass that begins, without values."""
        if skip_dropout is None or not self.training:
            return States(self.layout, self.pool_norms)
        return States(self.layout, self.pool_norms, skip_dropout.sampler(self.layout.index, device))

    def preprocess(self, older: Tensor, newer: Tensor, groups: CellGroups) -> list[Tensor | None]:
        """States 0 and 1 from the outputs of cells k-2 and k-1; None where no candidate reads them."""
        return [self.older(older) if groups.reads(0) else None, self.newer(newer) if groups.reads(1) else None]

    def add_terms(
        self, wave: Iterable[CandidateGroup], states: States, weights: Sequence[Tensor], totals: dict[int, Tensor]
    ) -> None:
        """Adds the weighted results of the groups of a wave to the totals (N, channels, H, W) of their nodes."""
        sums: dict[tuple[int, ...], Tensor] = {}
        for group in wave:
            if candidate_name(group.operation, *group.edges[0]) in self.candidates:
                for nodes, term in self._compute(group, states, weights[group.number]):
                    # Terms for the same nodes are added side by side, before they are split into nodes.
                    add(sums, nodes, term)
            else:
                self._weigh(group, states, weights[group.number], totals)
        add_split(totals, sums)

    def zeros(self, like: Tensor, channels: int) -> Tensor:
        """Maps of the nodes, (N, channels, H, W), to which nothing is added; N and the type are those of `like`."""
        return like.new_zeros(like.shape[0], channels, *sides(self.layout.out_size, self.layout.dims))

    def prune(self, kept: Columns) -> None:
        """Removes the modules of candidates that are not left in these columns of the table of choices."""
        for member in self.members:
            name = candidate_name(member.operation, member.source, member.target)
            if not self.is_held(member, kept) and name in self.candidates:
                del self.candidates[name]

    def _compute(
        self, group: CandidateGroup, states: States, weight: Tensor
    ) -> Iterator[tuple[tuple[int, ...], Tensor]]:
        """For the states that a group with parameters reads: nodes, and their terms side by side."""
        edges = group.edges
        modules = [
            cast("Candidate", self.candidates[candidate_name(group.operation, state, node)]) for state, node in edges
        ]
        at_once = count_side_by_side(states.relu(edges[0][0]), len(edges))
        for first in range(0, len(edges), at_once):
            part = slice(first, first + at_once)
            yield from self._convolve(modules[part], edges[part], states, weight[part])

    def _convolve(
        self, modules: Sequence[Candidate], edges: Sequence[tuple[int, int]], states: States, weight: Tensor
    ) -> Iterator[tuple[tuple[int, ...], Tensor]]:
        """The terms of candidates that are computed side by side; each reads a state and is added to a node."""
        readers = [(state, tuple(node for _, node in pairs)) for state, pairs in groupby(edges, itemgetter(0))]
        sources = [(states.relu(state), len(nodes)) for state, nodes in readers]
        scale = repeat_for_channels(weight, self.channels)
        computed = type(modules[0]).compute_group(modules, sources, self.layout.stride(edges[0][0]), scale)
        sizes = [len(nodes) * self.channels for _, nodes in readers]
        terms = computed.split(sizes, 1) if len(sizes) > 1 else (computed,)
        for (_, nodes), term in zip(readers, terms, strict=True):
            yield nodes, term

    def _weigh(self, group: CandidateGroup, states: States, weight: Tensor, totals: dict[int, Tensor]) -> None:
        """Adds the terms of a group without parameters (identities, pools) to the totals of its nodes."""
        parts = weight.split([len(nodes) for _, nodes in group.readers])
        for (state, nodes), part in zip(group.readers, parts, strict=True):
            x = states[state] if group.operation == SKIP else states.pool(group.operation, state)
            if group.operation == SKIP and states.drop is not None:
                for node, own in zip(nodes, part.split(1), strict=True):
                    add_weighted(totals, (node,), states.drop(x), own)
            else:
                add_weighted(totals, nodes, x, part)


def candidate_name(operation: str, state: int, node: int) -> str:
    """The name of a candidate's module within its cell."""
    return f"{operation}@{state}>{node}"


def pool_name(pool: str, state: int) -> str:
    """The name of the batch norm behind a pool of a state, which all edges that leave the state share."""
    return f"{pool}@{state}"
