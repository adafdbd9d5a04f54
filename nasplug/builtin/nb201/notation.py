"""Genotypes of the space: their picks, and the architecture string of the benchmark.

The string lists nodes 1 to 3, each with one operation~source for every earlier node:
"|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|".
"""

from __future__ import annotations

from collections.abc import Sequence

from nasplug.builtin.nb201.names import EDGES, LAST, OPERATIONS, PLACES, SPACE
from nasplug.errors import InputError, choose_from
from nasplug.values import Genotype

FORM = "|operation~0|+|operation~0|operation~1|+|operation~0|operation~1|operation~2|"


def write(operations: Sequence[str]) -> Genotype:
    """The genotype of six operations, in the order of EDGES."""
    return Genotype(SPACE, {where: (name,) for where, name in zip(PLACES, operations, strict=True)})


def read(genotype: Genotype) -> tuple[str, ...]:
    """The operations of a genotype in the order of EDGES; InputError if it is malformed."""
    if genotype.space != SPACE:
        raise InputError(f"This genotype belongs to the space '{genotype.space}', not to '{SPACE}'.")
    found = dict(genotype.picks)
    if set(found) != set(PLACES):
        raise InputError(
            f"A genotype of '{SPACE}' has the places {', '.join(PLACES)}; "
            f"this one has {', '.join(map(repr, found)) or 'none'}."
        )
    for where, picked in found.items():
        if len(picked) != 1:
            raise InputError(f"At '{where}' there must be one operation, but there are {len(picked)}.")
    return tuple(_checked(found[where][0]) for where in PLACES)


def to_string(genotype: Genotype) -> str:
    """The architecture string of the benchmark; `parse` reads it back. InputError if the genotype is malformed."""
    named = dict(zip(EDGES, read(genotype), strict=True))
    nodes = ("|".join(f"{named[node, source]}~{source}" for source in range(node)) for node in range(1, LAST + 1))
    return "+".join(f"|{node}|" for node in nodes)


def parse(text: str) -> Genotype:
    """The genotype that JSON or an architecture string describes; InputError says what is wrong with it."""
    text = text.strip()
    if text.startswith("{"):
        return write(read(Genotype.from_json(text)))
    nodes = text.split("+")
    bars = all(len(node) > 1 and node.startswith("|") and node.endswith("|") for node in nodes)
    if len(nodes) != LAST or not bars:
        raise InputError(f"An architecture is JSON or written {FORM}, but this text is neither: '{text:.200}'.")
    return write([name for number, node in enumerate(nodes, 1) for name in _node(number, node)])


def _node(number: int, text: str) -> list[str]:
    named = dict[str, str]()
    for term in text[1:-1].split("|"):
        name, tilde, source = term.partition("~")
        if not tilde or source in named or source not in map(str, range(number)):
            raise InputError(
                f"Node {number} of an architecture has one operation~source for each source from 0 to {number - 1}, "
                f"but it is written '{text:.200}'."
            )
        named[source] = _checked(name)
    if len(named) < number:
        raise InputError(f"Node {number} of an architecture has {number} terms, but it is written '{text:.200}'.")
    return [named[str(source)] for source in range(number)]


def _checked(name: str) -> str:
    if name not in OPERATIONS:
        raise choose_from("operation", name, OPERATIONS)
    return name
