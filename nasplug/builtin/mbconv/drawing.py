"""Pictures of blocks."""

from __future__ import annotations

from itertools import pairwise

from nasplug.builtin.mbconv.topology import read
from nasplug.values import Drawing, Edge, Genotype


def draw_cells(genotype: Genotype) -> tuple[Drawing, ...]:
    """One drawing for each block: the chain of its layers; their width and stride stand in the title."""
    drawings = []
    for block, chain in enumerate(read(genotype)):
        layers = len(chain.operations)
        nodes = ("in", *map(str, range(1, layers)), "out")
        edges = [
            Edge(source, target, str(operation))
            for (source, target), operation in zip(pairwise(nodes), chain.operations, strict=True)
        ]
        title = f"block {block}, width {chain.cell.width}, stride {chain.cell.stride}"
        drawings.append(Drawing(title, nodes, tuple(edges)))
    return tuple(drawings)
