"""Names of the space: its operations, and the places of a genotype.

A place is an edge of the cell, written "target<-source": "3<-1" leads from node 1 to node 3. Node 0 is the cell's
input, node 3 its output. A candidate is the name of an operation.
"""

from __future__ import annotations

from collections.abc import Sequence

from nasplug.errors import InputError

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


def place(target: int, source: int) -> str:
    """The place of an edge in a genotype."""
    return f"{target}<-{source}"


PLACES = tuple(place(target, source) for target, source in EDGES)


def check_operations(operations: Sequence[str]) -> None:
    """Raises InputError for a repeated operation, or if none of them computes anything."""
    repeated = sorted({name for name in operations if operations.count(name) > 1})
    if repeated:
        raise InputError(f"Option 'operations' names {', '.join(repeated)} more than once.")
    if not set(operations) - {NONE}:
        raise InputError("Option 'operations' needs at least one operation other than 'none'.")
