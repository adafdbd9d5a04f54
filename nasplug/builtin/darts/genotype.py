"""Genotypes of the space: operations and their presets, how candidates and places are written, and cells as graphs.

A place is a node of a cell, "normal/2" or "0/2" (node 2 of the normal cell, or of cell 0), or "normal/concat". Nodes
count from 2; inputs 0 and 1 are the outputs of cells k-2 and k-1, as in DARTS. A candidate is "operation@input".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from nasplug.errors import InputError, choose_from, quote, quote_all
from nasplug.values import Genotype

SPACE = "darts"
NONE = "none"
SKIP = "skip_connect"
POOLS = ("max_pool_3x3", "avg_pool_3x3")
SEPARABLE = {"sep_conv_3x3": 3, "sep_conv_5x5": 5, "sep_conv_7x7": 7}
"""Kernel sizes of separable convolutions, applied twice."""
DILATED = {"dil_conv_3x3": 3, "dil_conv_5x5": 5}
"""Kernel sizes of separable convolutions with dilation 2."""
FACTORISED = "conv_7x1_1x7"

OPERATIONS = (NONE, *POOLS, SKIP, *SEPARABLE, *DILATED, FACTORISED)

DARTS = (NONE, *POOLS, SKIP, "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
PRESETS = {
    "darts": DARTS,
    "darts7": DARTS[1:],
    "nadd3": ("sep_conv_3x3", SKIP, "dil_conv_5x5"),
}
"""Published sets of operations: DARTS's in its order, the same without `none`, and the three of SNPS and DNAD."""

TYPES = ("normal", "reduce")
CONCAT = "concat"


@attrs.frozen(order=True)
class Pick:
    """One candidate of a node: an operation and the input that it reads."""

    operation: str
    input: int

    def __str__(self) -> str:
        return f"{self.operation}@{self.input}"


def read_pick(text: str, node: int, place: str) -> Pick:
    """The candidate written as "operation@input" at a node; InputError if the node cannot hold it."""
    operation, at, number = text.partition("@")
    # Python refuses to read numbers of thousands of digits.
    if not at or not (number.isascii() and number.isdecimal()) or len(number) > 4:
        raise InputError(f"At {quote(place)} a candidate is written operation@input, but {quote(text)} is not.")
    return check_pick(operation, int(number), node, place)


def check_pick(operation: str, source: int, node: int, place: str) -> Pick:
    """The candidate of this operation and input; InputError if there is no such operation, or no such earlier input."""
    if operation not in OPERATIONS or operation == NONE:
        raise choose_from("operation", operation, (name for name in OPERATIONS if name != NONE))
    if not 0 <= source < node:
        raise InputError(
            f"At {quote(place)} an input must be a number from 0 to {node - 1}, but {quote(source)} is asked for."
        )
    return Pick(operation, source)


def expand_presets(names: Iterable[str]) -> tuple[str, ...]:
    """The operations that an option names, with presets expanded; InputError for an unknown or a repeated one."""
    operations: list[str] = []
    for name in names:
        if name in PRESETS:
            operations.extend(PRESETS[name])
        elif name in OPERATIONS:
            operations.append(name)
        else:
            raise choose_from("operation or preset", name, (*OPERATIONS, *PRESETS))
    repeated = sorted({name for name in operations if operations.count(name) > 1})
    if repeated:
        raise InputError(f"Option 'operations' names {', '.join(repeated)} more than once.")
    if not set(operations) - {NONE}:
        raise InputError("Option 'operations' needs at least one operation other than 'none'.")
    return tuple(operations)


@attrs.frozen
class CellGraph:
    """One cell: for each node (the first is number 2) its candidates, and the nodes whose outputs it concatenates.

    A node may hold a candidate several times, each with weights of its own, as in NASNet's normal cell.
    """

    nodes: tuple[tuple[Pick, ...], ...]
    concat: tuple[int, ...]

    @property
    def inputs(self) -> frozenset[int]:
        """The inputs of the cell (0, 1) that some node reads."""
        return frozenset(pick.input for node in self.nodes for pick in node) & {0, 1}


def write_genotype(cells: Mapping[str, CellGraph]) -> Genotype:
    """The genotype of cells by name, in their order. The concat is written only where it leaves nodes out."""
    picks: dict[str, tuple[str, ...]] = {}
    for name, cell in cells.items():
        for number, node in enumerate(cell.nodes, 2):
            picks[f"{name}/{number}"] = tuple(map(str, node))
        if len(cell.concat) < len(cell.nodes):
            picks[f"{name}/{CONCAT}"] = tuple(map(str, cell.concat))
    return Genotype(space=SPACE, picks=picks)


def read_genotype(genotype: Genotype) -> dict[str, CellGraph]:
    """The cells of a genotype by name: "normal" and "reduce", or "0", "1", ...; InputError if it is malformed."""
    cells = read_cells(genotype)
    per_cell = [str(number) for number in range(len(cells))]
    if not cells or list(cells) not in (list(TYPES), per_cell):
        raise InputError(
            f"A genotype has the cells 'normal' and 'reduce', or cells numbered from 0 in order; "
            f"this one has {quote_all(cells) if cells else 'none'}."
        )
    return cells


def read_cells(genotype: Genotype) -> dict[str, CellGraph]:
    """The cells of a genotype, or of a part of one, by name; InputError if one of them is malformed."""
    if genotype.space != SPACE:
        raise InputError(f"This genotype belongs to the space {quote(genotype.space)}, not to '{SPACE}'.")
    places: dict[str, dict[str, tuple[str, ...]]] = {}
    for place, texts in genotype.picks:
        cell, slash, node = place.partition("/")
        if not slash or not ((node.isascii() and node.isdecimal()) or node == CONCAT):
            raise InputError(f"A place is written cell/node, such as 'normal/2', but {quote(place)} is not.")
        places.setdefault(cell, {})[node] = texts
    return {name: _read_cell(name, nodes) for name, nodes in places.items()}


def is_per_type(names: Sequence[str] | Mapping[str, CellGraph]) -> bool:
    """Whether these are the names of cells that are shared by type."""
    return TYPES[0] in names


def _read_cell(name: str, places: Mapping[str, tuple[str, ...]]) -> CellGraph:
    numbers = [node for node in places if node != CONCAT]
    expected = [str(number) for number in range(2, len(numbers) + 2)]
    if not numbers or numbers != expected:
        raise InputError(
            f"The nodes of cell {quote(name)} must be numbered from 2 in order; they are {quote_all(numbers)}."
        )
    nodes = []
    for number in numbers:
        place, texts = f"{name}/{number}", places[number]
        if not texts:
            raise InputError(f"At {quote(place)} nothing is picked; a node needs at least one candidate.")
        nodes.append(tuple(read_pick(text, int(number), place) for text in texts))
    concat = places.get(CONCAT, tuple(numbers))
    if not concat or not set(concat) <= set(numbers) or len(set(concat)) < len(concat):
        raise InputError(
            f"{quote(f'{name}/{CONCAT}')} must list nodes from 2 to {numbers[-1]}, but it is {quote(list(concat))}."
        )
    return CellGraph(nodes=tuple(nodes), concat=tuple(sorted(map(int, concat))))
