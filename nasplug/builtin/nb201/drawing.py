"""Pictures of cells."""

from __future__ import annotations

from nasplug.builtin.nb201.names import EDGES, LAST, NONE
from nasplug.builtin.nb201.notation import read
from nasplug.values import Drawing, Edge, Genotype


def draw_cells(genotype: Genotype) -> tuple[Drawing, ...]:
    """The cell that all stages share: nodes 0 (input) to 3 (output); edges of `none` are left out."""
    edges = [
        Edge(str(source), str(target), name)
        for (target, source), name in zip(EDGES, read(genotype), strict=True)
        if name != NONE
    ]
    return (Drawing("cell", tuple(map(str, range(LAST + 1))), tuple(edges)),)
