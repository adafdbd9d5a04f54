"""Which candidates of a cell are computed together, for one set of candidates that count.

All candidates of one operation that leave one node form a batch. What cannot matter is left out: `none`, nodes that no
candidate reaches (their state is zero) and nodes from which nothing leads to the output.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from nasplug.builtin.nb201.names import EDGES, KERNELS, LAST, NONE


@attrs.frozen
class CandidateGroup:
    """Candidates of one operation that read one node."""

    operation: str
    source: int
    targets: tuple[int, ...]


@attrs.frozen
class Wiring:
    """The batches of a cell in the order of computation, and where their weights stand in the table of choices."""

    batches: tuple[CandidateGroup, ...]
    positions: tuple[tuple[tuple[int, int], ...], ...]
    """For each batch, the row and column of each of its candidates."""


def wire(operations: Sequence[str], alive: Sequence[Sequence[int]]) -> Wiring:
    """The wiring of a cell when the columns `alive` of each row (edge) count."""
    carrying = [
        edge
        for edge, columns in zip(EDGES, alive, strict=True)
        if any(operations[column] != NONE for column in columns)
    ]
    reached, needed = {0}, {LAST}
    for target, source in carrying:  # edges stand in the order of their targets
        reached |= {target} if source in reached else set()
    for target, source in reversed(carrying):
        needed |= {source} if target in needed else set()
    batches: dict[tuple[int, str], list[tuple[int, int, int]]] = {}
    for row, (target, source) in enumerate(EDGES):
        if source in reached & needed and target in needed:
            for column in alive[row]:
                batches.setdefault((source, operations[column]), []).append((target, row, column))
    # Those with weights come first: what they compute is a new map, to which the others add in one pass.
    ordered = sorted((key for key in batches if key[1] != NONE), key=lambda key: (key[0], key[1] not in KERNELS))
    return Wiring(
        tuple(
            CandidateGroup(name, source, tuple(target for target, _, _ in batches[source, name]))
            for source, name in ordered
        ),
        tuple(tuple((row, column) for _, row, column in batches[key]) for key in ordered),
    )
