"""Which candidates of a cell are computed together: the order of computation for one set of alive candidates.

Candidates are computed in waves. The first wave reads both inputs of the cell; its end completes node 2, which the
second wave reads, and so on. Within a wave all candidates of one operation form one batch.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from nasplug.builtin.darts.names import NONE, Pick

Column = tuple[int, Pick, int, int]
"""A candidate: its node, what it is, its row and column in the table of choices."""


@attrs.frozen
class CandidateGroup:
    """Candidates of one operation that are computed together."""

    operation: str
    readers: tuple[tuple[int, tuple[int, ...]], ...]
    """For each state that is read, the nodes whose candidates read it."""
    weights: int
    """Which of the cell's weight vectors is the batch's; it holds a weight for each reader, in this order."""

    @property
    def names(self) -> list[str]:
        """The names of its candidates' modules."""
        return [module_name(node, Pick(self.operation, state)) for state, nodes in self.readers for node in nodes]


@attrs.frozen
class Wiring:
    """The waves of a cell, and where the weights of its batches stand in the table of choices."""

    waves: tuple[tuple[CandidateGroup, ...], ...]
    positions: tuple[tuple[tuple[int, int], ...], ...]
    """For each batch, the row and column of each of its candidates."""

    def reads(self, state: int) -> bool:
        """Whether any candidate reads this state."""
        return any(state == read for wave in self.waves for batch in wave for read, _ in batch.readers)


def module_name(node: int, pick: Pick) -> str:
    """The name of a candidate's module within its cell."""
    return f"{pick}>{node}"


def wire(columns: Iterable[Column], alive: tuple[tuple[int, ...], ...], nodes: int) -> Wiring:
    """The wiring of a cell when the columns `alive` of each row count. `none` is left out: it adds nothing."""
    batches: list[dict[str, list[Column]]] = [{} for _ in range(nodes)]
    for column in columns:
        _, pick, row, index = column
        if pick.operation != NONE and index in alive[row]:
            batches[max(0, pick.input - 1)].setdefault(pick.operation, []).append(column)
    waves: list[tuple[CandidateGroup, ...]] = []
    positions: list[tuple[tuple[int, int], ...]] = []
    for wave in batches:
        made = []
        for operation, found in wave.items():
            found.sort(key=lambda column: (column[1].input, column[0]))
            readers: dict[int, tuple[int, ...]] = {}
            for node, pick, _, _ in found:
                readers[pick.input] = (*readers.get(pick.input, ()), node)
            made.append(CandidateGroup(operation, tuple(readers.items()), weights=len(positions)))
            positions.append(tuple((row, index) for _, _, row, index in found))
        waves.append(tuple(made))
    return Wiring(tuple(waves), tuple(positions))
