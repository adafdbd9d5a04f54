"""Genotypes of the space: the names of operations and places, and the architecture string of the benchmark.

A place is an edge of the cell, written "target<-source": "3<-1" leads from node 1 to node 3. Node 0 is the cell's
input, node 3 its output. A candidate is the name of an operation.

The string lists nodes 1 to 3, each with one operation~source for every earlier node:
"|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|".
"""

from __future__ import annotations

from collections.abc import Sequence

from nasplug.errors import InputError, choose_from, quote, quote_all
from nasplug.values import Genotype

SPACE = "nb201"
NONE = "none"
SKIP = "skip_connect"
POOL = "avg_pool_3x3"
KERNELS = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}
"""Kernel sizes of the operations with weights: ReLU, convolution, batch norm."""

OPERATIONS = (NONE, SKIP, *KERNELS, POOL)
"""In the order of the benchmark."""

LAST = 3
"""The node that is the cell's output."""
EDGES = tuple((target, source) for target in range(1, LAST + 1) for source in range(target))
"""The six edges, (target, source), in the order of the architecture string; also the rows of the table of choices."""

FORM = "|operation~0|+|operation~0|operation~1|+|operation~0|operation~1|operation~2|"


def error_location(target: int, source: int) -> str:
    """The place of an edge in a genotype."""
    return f"{target}<-{source}"


PLACES = tuple(error_location(target, source) for target, source in EDGES)


def check_operations(operations: Sequence[str]) -> None:
    """Raises InputError for a repeated operation, or if none of them computes anything."""
    repeated = sorted({name for name in operations if operations.count(name) > 1})
    if repeated:
        raise InputError(f"Option 'operations' names {', '.join(repeated)} more than once.")
    if not set(operations) - {NONE}:
        raise InputError("Option 'operations' needs at least one operation other than 'none'.")


def write_genotype(operations: Sequence[str]) -> Genotype:
    """The genotype of six operations, in the order of EDGES."""
    return Genotype(SPACE, {place: (name,) for place, name in zip(PLACES, operations, strict=True)})


def read_genotype(genotype: Genotype) -> tuple[str, ...]:
    """The operations of a genotype in the order of EDGES; InputError if it is malformed."""
    if genotype.space != SPACE:
        raise InputError(f"This genotype belongs to the space {quote(genotype.space)}, not to '{SPACE}'.")
    picks = dict(genotype.picks)
    if set(picks) != set(PLACES):
        raise InputError(
            f"A genotype of '{SPACE}' has the places {', '.join(PLACES)}; this one has {quote_all(picks) or 'none'}."
        )
    for place, names in picks.items():
        if len(names) != 1:
            raise InputError(f"At '{place}' there must be one operation, but there are {len(names)}.")
    return tuple(_check_name(picks[place][0]) for place in PLACES)


def to_string(genotype: Genotype) -> str:
    """The architecture string of the benchmark, which `parse_genotype` reads; InputError for a malformed genotype."""
    operations = dict(zip(EDGES, read_genotype(genotype), strict=True))
    nodes = ("|".join(f"{operations[node, source]}~{source}" for source in range(node)) for node in range(1, LAST + 1))
    return "+".join(f"|{node}|" for node in nodes)


def parse_genotype(text: str) -> Genotype:
    """The genotype that JSON or an architecture string describes; InputError says what is wrong with it."""
    text = text.strip()
    if text.startswith("{"):
        return write_genotype(read_genotype(Genotype.from_json(text)))
    nodes = text.split("+")
    bars = all(len(node) > 1 and node.startswith("|") and node.endswith("|") for node in nodes)
    if len(nodes) != LAST or not bars:
        raise InputError(f"An architecture is JSON or written {FORM}, but this text is neither: {quote(text)}.")
    return write_genotype([name for number, node in enumerate(nodes, 1) for name in _parse_node(number, node)])


def _parse_node(number: int, text: str) -> list[str]:
    """The operations of one node in the order of their sources."""
    by_source = dict[str, str]()
    for term in text[1:-1].split("|"):
        name, tilde, source = term.partition("~")
        if not tilde or source in by_source or source not in map(str, range(number)):
            raise InputError(
                f"Node {number} of an architecture has one operation~source for each source from 0 to {number - 1}, "
                f"but it is written {quote(text)}."
            )
        by_source[source] = _check_name(name)
    if len(by_source) < number:
        raise InputError(f"Node {number} of an architecture has {number} terms, but it is written {quote(text)}.")
    return [by_source[str(source)] for source in range(number)]


def _check_name(name: str) -> str:
    if name not in OPERATIONS:
        raise choose_from("operation", name, OPERATIONS)
    return name
