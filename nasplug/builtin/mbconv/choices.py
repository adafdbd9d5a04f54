"""The cells and operations that the options of the space name, its choices, and genotypes from choices and back.

A block of several cells has the choice "0/cell"; every layer of every cell has a choice of its own, "0/2x24s2/1", which
is valid only where that cell is chosen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from torch import Tensor

from nasplug.builtin.block_genotypes import encode_picks, strongest_columns
from nasplug.builtin.mbconv.genotype import Cell, Chain, Operation, cell_place, read_chains, write_genotype
from nasplug.errors import InputError, choose_from
from nasplug.parts import Choice, Choices
from nasplug.values import Genotype

PRESETS = {
    "dna": (
        "s2 2x24 3x24 2x32",
        "s2 2x40 3x40 4x40",
        "s2 2x80 3x80 4x80",
        "s1 3x112 4x112 4x96",
        "s2 4x192 5x192 5x160",
        "s1 1x320",
    ),
    "dna-single": ("s2 2x24", "s2 4x40", "s2 4x80", "s1 4x112", "s2 4x192", "s1 1x320"),
    "small": ("s1 1x16 2x16", "s2 2x24 3x24", "s2 2x40 3x40"),
}
"""DNA's multi-cell table and the single cells of its released supernet, both for ImageNet; and one for images of some
8 to 32 pixels, whose stem keeps their size."""

Cells = tuple[tuple[Cell, ...], ...]
"""For every block the cells that it can have."""

_BLOCK = re.compile(r"s([12])((?: [1-9][0-9]?x[1-9][0-9]{0,3})+)")


@lru_cache(maxsize=64)
def read_blocks(texts: tuple[str, ...]) -> Cells:
    """The cells of the blocks that option `blocks` names, with presets expanded; InputError if one cannot be read."""
    blocks: list[tuple[Cell, ...]] = []
    for text in texts:
        blocks += [_read_block(line) for line in PRESETS.get(text, (text,))]
    if not blocks:
        raise InputError("Option 'blocks' needs at least one block, such as 's2 2x24 3x24'.")
    return tuple(blocks)


def make_operations(kernels: Sequence[int], expansions: Sequence[int]) -> tuple[Operation, ...]:
    """The operations of every layer in DNA's order: all kernels with the first expansion, then with the next."""
    for name, values in (("kernels", kernels), ("expansions", expansions)):
        if not values or len(set(values)) < len(values):
            raise InputError(f"Option '{name}' needs one or more distinct numbers, but it is {list(values)}.")
    even = [kernel for kernel in kernels if kernel % 2 == 0]
    if even:
        raise InputError(f"Option 'kernels' takes odd sides of kernels, such as 3, 5 and 7, but it has {even[0]}.")
    return tuple(Operation(kernel, expansion) for expansion in expansions for kernel in kernels)


def _read_block(text: str) -> tuple[Cell, ...]:
    if text.isidentifier() or text.replace("-", "_").isidentifier():
        raise choose_from("preset of option 'blocks'", text, PRESETS)
    match = _BLOCK.fullmatch(" ".join(text.split()))
    if match is None:
        raise InputError(
            f"A block is written as its stride and its cells, LAYERSxWIDTH each, such as 's2 2x24 3x24 2x32', "
            f"but '{text:.60}' is not."
        )
    sizes = [tuple(map(int, size.split("x"))) for size in match[2].split()]
    if len(set(sizes)) < len(sizes):
        raise InputError(f"The block '{text:.60}' of option 'blocks' offers a cell twice.")
    return tuple(Cell(layers, width, stride=int(match[1])) for layers, width in sizes)


def layer_choice(block: int, cell: Cell, layer: int) -> str:
    """The name of the choice at one layer of a cell, counted from 1."""
    return f"{block}/{cell}/{layer}"


def make_choices(cells: Cells, operations: Sequence[Operation]) -> tuple[Choice, ...]:
    """A choice for each block of several cells, and one for each layer of each cell."""
    names = tuple(map(str, operations))
    choices: list[Choice] = []
    for block, alternatives in enumerate(cells):
        several = len(alternatives) > 1
        if several:
            choices.append(Choice(cell_place(block), tuple(map(str, alternatives)), at_most=1, blocks=(block,)))
        for cell in alternatives:
            parent = (cell_place(block), str(cell)) if several else None
            choices += [
                Choice(layer_choice(block, cell, layer), names, at_most=1, blocks=(block,), parent=parent)
                for layer in range(1, cell.layers + 1)
            ]
    return tuple(choices)


def encode_genotype(genotype: Genotype, choices: Choices) -> Tensor:
    """The candidates that a genotype holds: none at the layers of the cells that it leaves out.

    Blocks of which it says nothing keep all of theirs.
    """
    held = {}
    for block, chain in read_chains(genotype).items():
        held[block] = {cell_place(block): str(chain.cell)}
        held[block] |= {
            layer_choice(block, chain.cell, layer): str(operation)
            for layer, operation in enumerate(chain.operations, 1)
        }
    return encode_picks(held, choices)


def decode_genotype(choices: Choices, weights: Tensor, cells: Cells, operations: Sequence[Operation]) -> Genotype:
    """Of every block the active cell of the largest weight, and of each of its layers the active operation.

    Ties go to the first.
    """
    strongest = strongest_columns(choices, weights)
    chains = {}
    for block, alternatives in enumerate(cells):
        cell = alternatives[strongest[cell_place(block)]] if len(alternatives) > 1 else alternatives[0]
        layers = range(1, cell.layers + 1)
        chains[block] = Chain(cell, tuple(operations[strongest[layer_choice(block, cell, layer)]] for layer in layers))
    return write_genotype(chains)
