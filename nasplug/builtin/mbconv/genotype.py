"""Genotypes of the space: names of cells and operations, places, and what fills each block.

The cell "2x24s2" has 2 layers of width 24, of which the first has stride 2. The operation "k3e6" is an MBConv that
expands its input to 6 times its channels and convolves them 3x3. Blocks count from 0, layers from 1: the place
"0/cell" holds the cell of the first block, "0/1" and "0/2" the operations of its layers. A genotype therefore says by
itself which network it is, whatever the options of the space; its widths are those at `channels` = 32.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from nasplug.builtin.block_genotypes import check_numbers, read_picks
from nasplug.errors import InputError, quote, quote_all
from nasplug.values import Genotype

SPACE = "mbconv"
CELL = "cell"
# Every name has one spelling, without leading zeros; the bounds keep absurd networks from being counted.
_CELL = re.compile(r"([1-9][0-9]{0,1})x([1-9][0-9]{0,3})s([12])")
_OPERATION = re.compile(r"k([1-9][0-9]?)e([1-9][0-9]?)")


@attrs.frozen
class Cell:
    """One way to fill a block: a number of layers of one width, the first of them with the stride."""

    layers: int
    width: int
    stride: int

    def __str__(self) -> str:
        return f"{self.layers}x{self.width}s{self.stride}"


@attrs.frozen
class Operation:
    """A candidate of a layer: the size of its depthwise kernel, and by how much it expands its input."""

    kernel: int
    expansion: int

    def __str__(self) -> str:
        return f"k{self.kernel}e{self.expansion}"


def cell_place(block: int) -> str:
    """The place of a block's cell."""
    return f"{block}/{CELL}"


def layer_place(block: int, layer: int) -> str:
    """The place of the operation of a layer, counted from 1."""
    return f"{block}/{layer}"


def read_cell(text: str, place: str) -> Cell:
    """The cell of this name; InputError if it is not the name of a cell."""
    match = _CELL.fullmatch(text)
    if match is None:
        raise InputError(
            f"At {quote(place)} a cell is written LAYERSxWIDTHsSTRIDE, such as '2x24s2' (at most 99 layers of width "
            f"9999, stride 1 or 2), but {quote(text)} is not."
        )
    layers, width, stride = map(int, match.groups())
    return Cell(layers, width, stride)


def read_operation(text: str, place: str) -> Operation:
    """The operation of this name; InputError if it is not the name of an operation."""
    match = _OPERATION.fullmatch(text)
    operation = Operation(*map(int, match.groups())) if match else None
    if operation is None or operation.kernel % 2 == 0:
        raise InputError(
            f"At {quote(place)} an operation is written kKERNELeEXPANSION with an odd kernel, such as 'k3e6', "
            f"but {quote(text)} is not."
        )
    return operation


@attrs.frozen
class Chain:
    """What fills one block: a cell, and an operation for each of its layers."""

    cell: Cell
    operations: tuple[Operation, ...]


def write_genotype(chains: Mapping[int, Chain]) -> Genotype:
    """The genotype of blocks by number, in their order."""
    picks: dict[str, tuple[str, ...]] = {}
    for block, chain in chains.items():
        picks[cell_place(block)] = (str(chain.cell),)
        for layer, operation in enumerate(chain.operations, 1):
            picks[layer_place(block, layer)] = (str(operation),)
    return Genotype(space=SPACE, picks=picks)


def read_genotype(genotype: Genotype) -> tuple[Chain, ...]:
    """The blocks of a whole genotype; InputError if it is malformed."""
    chains = read_chains(genotype)
    check_numbers(chains, "blocks")
    return tuple(chains.values())


def read_chains(genotype: Genotype) -> dict[int, Chain]:
    """The blocks of a genotype, or of a part of one, by number; InputError if one of them is malformed."""
    places = read_picks(genotype, SPACE, "block/cell or block/layer, such as '0/cell'")
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
            f"Block {block} of this genotype has the places {quote_all(picks)}; its cell '{cell}' needs "
            f"{', '.join(expected)}, in this order."
        )
    return Chain(cell, tuple(read_operation(picks[place], place) for place in expected[1:]))
