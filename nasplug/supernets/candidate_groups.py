"""Which candidates of a cell are computed together.

A cell is a graph: its nodes hold states (feature maps), and each candidate is an operation on one edge, from a state to
a node. Candidates are computed in waves, one for each time at which further states are complete. The candidates of one
operation within a wave form a group, which the cell computes with few calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs
from torch import Tensor

SIDE_BY_SIDE_BYTES = 2 << 20
"""Bytes of a map up to which candidates are computed side by side on a CPU.

Small maps gain by fewer and larger operations, large ones lose by leaving the cache: side by side, the eight 5x5
candidates of two states of 16 channels and 32x32 pixels, batch 64, take 2.3 times as long as one after the other.
"""


@attrs.frozen
class CellCandidate:
    """One operation on one edge of a cell, and where it is: in the table of choices, or among the picks of a node."""

    operation: str
    source: int
    """The state that it reads."""
    target: int
    """The node to which its result is added."""
    row: int
    column: int


@attrs.frozen
class CandidateGroup:
    """Candidates of one operation that are computed together."""

    operation: str
    readers: tuple[tuple[int, tuple[int, ...]], ...]
    """For each state that is read, the nodes to which its candidates are added."""
    number: int
    """The position of the group's weights among the weight vectors of the cell: a weight for each of `edges`."""

    @property
    def edges(self) -> list[tuple[int, int]]:
        """The (state, node) of each candidate."""
        return [(state, node) for state, nodes in self.readers for node in nodes]


@attrs.frozen
class CellGroups:
    """The groups of a cell in the order of computation."""

    waves: tuple[tuple[CandidateGroup, ...], ...]
    positions: tuple[tuple[tuple[int, int], ...], ...]
    """For each group, the row and column of each of its candidates."""

    def reads(self, state: int) -> bool:
        """Whether any candidate reads this state."""
        return any(state == source for wave in self.waves for group in wave for source, _ in group.readers)


def group_candidates(candidates: Iterable[CellCandidate], waves: int, wave_of: Callable[[int], int]) -> CellGroups:
    """Groups the candidates that are to be computed; `wave_of` gives the wave in which a state is read.

    The groups of a wave are in the order in which their operations first appear among the candidates. Within a group
    candidates are sorted by state, then by node.
    """
    by_wave: list[dict[str, list[CellCandidate]]] = [{} for _ in range(waves)]
    for candidate in candidates:
        by_wave[wave_of(candidate.source)].setdefault(candidate.operation, []).append(candidate)
    grouped: list[tuple[CandidateGroup, ...]] = []
    positions: list[tuple[tuple[int, int], ...]] = []
    for by_operation in by_wave:
        groups = []
        for operation, members in by_operation.items():
            members.sort(key=lambda candidate: (candidate.source, candidate.target))
            readers: dict[int, tuple[int, ...]] = {}
            for candidate in members:
                readers[candidate.source] = (*readers.get(candidate.source, ()), candidate.target)
            groups.append(CandidateGroup(operation, tuple(readers.items()), number=len(positions)))
            positions.append(tuple((candidate.row, candidate.column) for candidate in members))
        grouped.append(tuple(groups))
    return CellGroups(tuple(grouped), tuple(positions))


def repeat_for_channels(weights: Tensor, channels: int) -> Tensor:
    """The weights of candidates, (G,), as weights of their channels side by side, (G * channels,)."""
    return weights.unsqueeze(1).expand(-1, channels).reshape(-1)


def count_side_by_side(x: Tensor, candidates: int) -> int:
    """How many of `candidates` that read maps such as `x` are computed side by side."""
    return candidates if x.device.type != "cpu" else max(1, SIDE_BY_SIDE_BYTES // (x.numel() * x.element_size()))
