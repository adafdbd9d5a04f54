"""Names of the space: its cells, its operations, and the places of a genotype.

The cell "2x24s2" has 2 layers of width 24, of which the first has stride 2. The operation "k3e6" is an MBConv that
expands its input to 6 times its channels and convolves them 3x3. Blocks count from 0, layers from 1: the place
"0/cell" holds the cell of the first block, "0/1" and "0/2" the operations of its layers. A genotype therefore says by
itself which network it is, whatever the options of the space; its widths are those at `channels` = 32.
"""

from __future__ import annotations

import re

import attrs

from nasplug.errors import InputError

CELL = "cell"
# Every name has one spelling, without leading zeros; the bounds keep absurd networks from being counted.
_CELL = re.compile(r"([1-9][0-9]{0,1})x([1-9][0-9]{0,3})s([12])")
_OPERATION = re.compile(r"k([1-9][0-9]?)e([1-9][0-9]?)")


@attrs.frozen
class Cell:
    """One way to fill a block: so many layers of one width, the first of them with the stride."""

    layers: int
    width: int
    stride: int

    def __str__(self) -> str:
        return f"{self.layers}x{self.width}s{self.stride}"


@attrs.frozen
class Operation:
    """What one layer may be: the side of its depthwise kernel, and by how much it expands its input."""

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
    """The cell of this name; InputError if it is none."""
    match = _CELL.fullmatch(text)
    if match is None:
        raise InputError(
            f"At '{place}' a cell is written LAYERSxWIDTHsSTRIDE, such as '2x24s2' (at most 99 layers of width 9999, "
            f"stride 1 or 2), but '{text:.60}' is not."
        )
    layers, width, stride = map(int, match.groups())
    return Cell(layers, width, stride)


def read_operation(text: str, place: str) -> Operation:
    """The operation of this name; InputError if it is none."""
    match = _OPERATION.fullmatch(text)
    operation = Operation(*map(int, match.groups())) if match else None
    if operation is None or operation.kernel % 2 == 0:
        raise InputError(
            f"At '{place}' an operation is written kKERNELeEXPANSION with an odd kernel, such as 'k3e6', "
            f"but '{text:.60}' is not."
        )
    return operation
