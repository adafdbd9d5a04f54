"""Genotypes of the space as graphs: reading, checking and writing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from nasplug.builtin.darts.names import CONCAT, TYPES, Pick, read_pick
from nasplug.errors import InputError
from nasplug.values import Genotype

SPACE = "darts"


@attrs.frozen
class CellGraph:
    """One cell: for each node (the first is number 2) its candidates, and the nodes whose outputs it concatenates."""

    nodes: tuple[tuple[Pick, ...], ...]
    concat: tuple[int, ...]

    @property
    def inputs(self) -> frozenset[int]:
        """The inputs of the cell (0, 1) that some node reads."""
        return frozenset(pick.input for node in self.nodes for pick in node) & {0, 1}


def write(cells: Mapping[str, CellGraph]) -> Genotype:
    """The genotype of named cells, in their order. The concat is written only where it leaves nodes out."""
    picks: dict[str, tuple[str, ...]] = {}
    for name, cell in cells.items():
        for number, node in enumerate(cell.nodes, 2):
            picks[f"{name}/{number}"] = tuple(map(str, node))
        if len(cell.concat) < len(cell.nodes):
            picks[f"{name}/{CONCAT}"] = tuple(map(str, cell.concat))
    return Genotype(space=SPACE, picks=picks)


def read(genotype: Genotype) -> dict[str, CellGraph]:
    """The cells of a genotype by name: "normal" and "reduce", or "0", "1", ...; InputError if it is malformed."""
    cells = read_cells(genotype)
    per_cell = [str(number) for number in range(len(cells))]
    if not cells or list(cells) not in (list(TYPES), per_cell):
        raise InputError(
            f"A genotype has the cells 'normal' and 'reduce', or cells numbered from 0 in order; "
            f"this one has {', '.join(map(repr, cells)) or 'none'}."
        )
    return cells


def read_cells(genotype: Genotype) -> dict[str, CellGraph]:
    """The cells that a genotype or a part of one holds, whichever they are; InputError if one is malformed."""
    if genotype.space != SPACE:
        raise InputError(f"This genotype belongs to the space '{genotype.space}', not to '{SPACE}'.")
    places: dict[str, dict[str, tuple[str, ...]]] = {}
    for place, picked in genotype.picks:
        cell, slash, node = place.partition("/")
        if not slash or not (node.isdecimal() or node == CONCAT):
            raise InputError(f"A place is written cell/node, such as 'normal/2', but '{place}' is not.")
        places.setdefault(cell, {})[node] = picked
    return {name: _read_cell(name, nodes) for name, nodes in places.items()}


def is_per_type(names: Sequence[str] | Mapping[str, CellGraph]) -> bool:
    """Whether cells of these names are shared by type."""
    return TYPES[0] in names


def _read_cell(name: str, places: Mapping[str, tuple[str, ...]]) -> CellGraph:
    numbers = [node for node in places if node != CONCAT]
    expected = [str(number) for number in range(2, len(numbers) + 2)]
    if not numbers or numbers != expected:
        raise InputError(f"The nodes of cell '{name}' must be numbered from 2 in order; they are {numbers}.")
    nodes = []
    for number in numbers:
        place, picked = f"{name}/{number}", places[number]
        if not picked:
            raise InputError(f"At '{place}' nothing is picked; a node needs at least one candidate.")
        if len(set(picked)) < len(picked):
            raise InputError(f"At '{place}' a candidate is picked twice: {', '.join(picked)}.")
        nodes.append(tuple(read_pick(text, int(number), place) for text in picked))
    concat = places.get(CONCAT, tuple(numbers))
    if not concat or not set(concat) <= set(numbers) or len(set(concat)) < len(concat):
        raise InputError(f"'{name}/{CONCAT}' must list nodes from 2 to {numbers[-1]}, but it is {list(concat)}.")
    return CellGraph(nodes=tuple(nodes), concat=tuple(sorted(map(int, concat))))
