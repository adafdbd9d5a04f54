"""The supernet of PC-DARTS: every candidate computes 1/K of the channels of the state that it reads.

The mixed operation of an edge (i, j) is, with the first channels x' and the others x" of the state x,

    f_ij(x) = shuffle(concat(sum_o alpha_o o(x'), x"))        x_j = sum_i beta_ij f_ij(x_i)

(Xu et al., equations 2 and 3). Shuffling and concatenation are linear and the same on every edge, so a node is
shuffle(concat(sum of beta alpha o(x'), sum of beta x")): the candidates add up as in DARTS, on narrower maps and with
the weights beta alpha, and beside them the channels that bypass them, with the weights beta.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from nasplug.parts import Choices, SkipDropout
from nasplug.parts.choice import Columns
from nasplug.spaces.darts import (
    CellCandidate,
    CellGroups,
    CellLayout,
    DartsSupernet,
    NetworkLayout,
    SupernetCell,
    add_weighted,
)
from nasplug.values import ImageShape
from nasplug_pcdarts.edges import BYPASS, multiply_by_edges


class PartialSupernet(DartsSupernet):
    """The supernet of DARTS with partial cells, whose candidates weigh alpha times beta."""

    static_graph = True
    edges: Tensor

    def __init__(
        self,
        layout: NetworkLayout,
        choices: Choices,
        shape: ImageShape,
        make_cell: Callable[[CellLayout], SupernetCell],
        edges: Tensor,
    ) -> None:
        """`edges` says where the weight of each candidate's edge is; see `find_edges`."""
        super().__init__(layout, choices, shape, make_cell)
        self.register_buffer("edges", edges, persistent=False)

    def candidate_weights(self) -> Tensor:
        """Alpha times beta for candidates, and beta for the edges themselves."""
        return multiply_by_edges(self.choices.weights(), self.edges)


class PartialCell(SupernetCell):
    """A cell whose candidates compute 1/`partial` of the channels; `members` holds its bypasses, too."""

    def __init__(self, layout: CellLayout, nodes: int, members: Iterable[CellCandidate], partial: int) -> None:
        super().__init__(layout, nodes, members, channels=layout.channels // partial)
        self.partial = partial
        self._bypasses = {(one.source, one.target): one for one in self.members if one.operation == BYPASS}

    def is_held(self, member: CellCandidate, columns: Columns) -> bool:
        """Whether both the candidate and its edge are left."""
        edge = self._bypasses[member.source, member.target]
        return member.column in columns[member.row] and edge.column in columns[edge.row]

    def forward(
        self,
        older: Tensor,
        newer: Tensor,
        groups: CellGroups,
        weights: Sequence[Tensor],
        skip_dropout: SkipDropout | None = None,
    ) -> Tensor:
        """The outputs of cells k-2 and k-1 to (N, nodes * channels, H, W), with a weight vector for each group.

        `skip_dropout` follows the identities among the candidates; the channels that bypass them are left as they are.
        """
        inputs = self.preprocess(older, newer, groups)
        states = self.make_states(newer.device, skip_dropout)
        states.values = [None if x is None else self._first(x) for x in inputs]
        others = [None if x is None else self._others(x, source) for source, x in enumerate(inputs)]
        computed: dict[int, Tensor] = {}
        bypassed: dict[int, Tensor] = {}
        nodes = []
        for node, wave in enumerate(groups.waves, 2):
            self.add_terms((group for group in wave if group.operation != BYPASS), states, weights, computed)
            for group in wave:
                if group.operation == BYPASS and self.partial > 1:
                    parts = weights[group.number].split([len(targets) for _, targets in group.readers])
                    for (source, targets), part in zip(group.readers, parts, strict=True):
                        rest = others[source]
                        assert rest is not None, source  # noqa: S101 - `groups` reads it, so it was computed
                        add_weighted(bypassed, targets, rest, part)
            nodes.append(self._join(computed.get(node), bypassed.get(node), newer))
            states.values.append(self._first(nodes[-1]))
            others.append(self._others(nodes[-1], node))
        return torch.cat(nodes, 1)

    def _first(self, x: Tensor) -> Tensor:
        """The channels that candidates compute."""
        return x[:, : self.channels].contiguous(memory_format=torch.channels_last)

    def _others(self, x: Tensor, source: int) -> Tensor | None:
        """The channels that bypass them, at the size of the nodes; None where there are none."""
        if self.partial == 1:
            return None
        rest = x[:, self.channels :].contiguous(memory_format=torch.channels_last)
        # Maps of an odd size are halved upwards, as by the candidates.
        return F.max_pool2d(rest, 2, ceil_mode=True) if self.layout.stride(source) == 2 else rest

    def _join(self, computed: Tensor | None, bypassed: Tensor | None, like: Tensor) -> Tensor:
        """A node from the sums of what candidates computed and what bypassed them; zeros where there is nothing."""
        first = self.zeros(like, self.channels) if computed is None else computed
        if self.partial == 1:
            return first
        rest = self.zeros(like, self.layout.channels - self.channels) if bypassed is None else bypassed
        joined = shuffle(torch.cat([first, rest.to(first.dtype)], 1), self.partial)
        return joined.contiguous(memory_format=torch.channels_last)


def shuffle(x: Tensor, groups: int) -> Tensor:
    """Channels (N, C, H, W) of several groups dealt out in turn: the first of each, then the second (ShuffleNet)."""
    count, channels, height, width = x.shape
    return x.reshape(count, groups, channels // groups, height, width).transpose(1, 2).reshape(x.shape)
