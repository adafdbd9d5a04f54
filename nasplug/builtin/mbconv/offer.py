"""What the space offers: the cells of every block and the operations of every layer, as its options name them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from nasplug.builtin.mbconv.names import Cell, Operation
from nasplug.errors import InputError, choose_from

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
"""For every block the cells that it offers."""

_BLOCK = re.compile(r"s([12])((?: [1-9][0-9]?x[1-9][0-9]{0,3})+)")


@lru_cache(maxsize=64)
def read_blocks(texts: tuple[str, ...]) -> Cells:
    """The cells of the blocks that an option names, presets written out; InputError if one cannot be read."""
    blocks: list[tuple[Cell, ...]] = []
    for text in texts:
        blocks += [_read_block(line) for line in PRESETS.get(text, (text,))]
    if not blocks:
        raise InputError("Option 'blocks' needs at least one block, such as 's2 2x24 3x24'.")
    return tuple(blocks)


def operations_of(kernels: Sequence[int], expansions: Sequence[int]) -> tuple[Operation, ...]:
    """The operations of every layer, in DNA's order: all kernels with the first expansion, then with the next."""
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
