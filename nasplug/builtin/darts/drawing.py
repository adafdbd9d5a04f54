"""Pictures of cells."""

from __future__ import annotations

from nasplug.builtin.darts.topology import is_per_type, read
from nasplug.values import Drawing, Edge, Genotype

INPUTS = ("c_{k-2}", "c_{k-1}")
OUTPUT = "c_{k}"


def draw_cells(genotype: Genotype) -> tuple[Drawing, ...]:
    """One drawing for each cell that the genotype tells apart; nodes keep their numbers, from 2."""
    cells = read(genotype)
    titled = is_per_type(cells)
    drawings = []
    for title, cell in cells.items():
        names = (*INPUTS, *(str(number) for number in range(2, len(cell.nodes) + 2)))
        edges = [
            Edge(names[pick.input], names[number], pick.operation)
            for number, picks in enumerate(cell.nodes, 2)
            for pick in sorted(picks, key=lambda pick: (pick.input, pick.operation))
        ]
        edges += [Edge(names[number], OUTPUT, "concat") for number in cell.concat]
        drawings.append(Drawing(title if titled else f"cell {title}", (*names, OUTPUT), tuple(edges)))
    return tuple(drawings)
