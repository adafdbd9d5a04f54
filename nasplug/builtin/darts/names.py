"""Names of the space: its operations, their presets, and how candidates and places are spelt in a genotype.

A place is a node of a cell, "normal/2" or "0/2" (node 2 of the normal cell, or of cell 0), or "normal/concat". Nodes
count from 2; inputs 0 and 1 are the outputs of cells k-2 and k-1, as in DARTS. A candidate is "operation@input".
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from nasplug.errors import InputError, choose_from

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
    """The candidate written as "operation@input" at a node; InputError if it is none that a node can hold."""
    operation, at, number = text.partition("@")
    # Python refuses to read numbers of thousands of digits.
    if not at or not number.isdecimal() or len(number) > 4:
        raise InputError(f"At '{place}' a candidate is written operation@input, but '{text:.60}' is not.")
    return checked_pick(operation, int(number), node, place)


def checked_pick(operation: str, source: int, node: int, place: str) -> Pick:
    """A candidate whose operation exists and whose input comes before the node; InputError otherwise."""
    if operation not in OPERATIONS or operation == NONE:
        raise choose_from("operation", operation, (name for name in OPERATIONS if name != NONE))
    if not 0 <= source < node:
        raise InputError(f"At '{place}' an input must be a number from 0 to {node - 1}, but {source} is asked for.")
    return Pick(operation, source)


def expand(names: Iterable[str]) -> tuple[str, ...]:
    """The operations that an option names, presets written out; InputError for an unknown or a repeated one."""
    found: list[str] = []
    for name in names:
        if name in PRESETS:
            found.extend(PRESETS[name])
        elif name in OPERATIONS:
            found.append(name)
        else:
            raise choose_from("operation or preset", name, (*OPERATIONS, *PRESETS))
    repeated = sorted({name for name in found if found.count(name) > 1})
    if repeated:
        raise InputError(f"Option 'operations' names {', '.join(repeated)} more than once.")
    if not set(found) - {NONE}:
        raise InputError("Option 'operations' needs at least one operation other than 'none'.")
    return tuple(found)
