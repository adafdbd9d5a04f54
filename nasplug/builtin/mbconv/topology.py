"""Genotypes of the space as chains of layers: reading, checking and writing them."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from nasplug.builtin.mbconv.names import Cell, Operation, cell_place, layer_place, read_cell, read_operation
from nasplug.errors import InputError
from nasplug.values import Genotype

SPACE = "mbconv"


@attrs.frozen
class Chain:
    """What fills one block: a cell, and an operation for each of its layers."""

    cell: Cell
    operations: tuple[Operation, ...]


def write(chains: Mapping[int, Chain]) -> Genotype:
    """The genotype of these blocks, in their order."""
    picks: dict[str, tuple[str, ...]] = {}
    for block, chain in chains.items():
        picks[cell_place(block)] = (str(chain.cell),)
        for layer, operation in enumerate(chain.operations, 1):
            picks[layer_place(block, layer)] = (str(operation),)
    return Genotype(space=SPACE, picks=picks)


def read(genotype: Genotype) -> tuple[Chain, ...]:
    """The blocks of a whole genotype; InputError if it is malformed."""
    chains = read_part(genotype)
    if not chains or list(chains) != list(range(len(chains))):
        found = ", ".join(map(str, chains)) or "none"
        raise InputError(f"The blocks of a genotype are numbered from 0 in order; this one has {found}.")
    return tuple(chains.values())


def read_part(genotype: Genotype) -> dict[int, Chain]:
    """The blocks that a genotype or a part of one holds, whichever they are; InputError if one is malformed."""
    if genotype.space != SPACE:
        raise InputError(f"This genotype belongs to the space '{genotype.space}', not to '{SPACE}'.")
    places: dict[int, dict[str, str]] = {}
    for place, picked in genotype.picks:
        number = place.partition("/")[0]
        if not (number.isascii() and number.isdecimal() and len(number) < 4):
            raise InputError(
                f"A place is written block/cell or block/layer, such as '0/cell', but '{place:.60}' is not."
            )
        if len(picked) != 1:
            found = ", ".join(picked) or "nothing"
            raise InputError(f"At '{place}' exactly one candidate is picked in this space, but here it is {found:.60}.")
        places.setdefault(int(number), {})[place] = picked[0]
    return {block: _read_chain(block, picks) for block, picks in places.items()}


def _read_chain(block: int, picks: Mapping[str, str]) -> Chain:
    first = cell_place(block)
    if first not in picks:
        raise InputError(
            f"Block {block} of this genotype lacks the place '{first}', which says how many layers it has."
        )
    cell = read_cell(picks[first], first)
    expected = [first, *(layer_place(block, layer) for layer in range(1, cell.layers + 1))]
    if list(picks) != expected:
        raise InputError(
            f"Block {block} of this genotype has the places {', '.join(picks)}; its cell '{cell}' needs "
            f"{', '.join(expected)}, in this order."
        )
    return Chain(cell, tuple(read_operation(picks[place], place) for place in expected[1:]))
