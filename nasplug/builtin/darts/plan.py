"""The plan of a network: which cells it has, how wide they are and how large their maps; no weights.

Supernet, stand-alone network and cost all read the same plan.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from nasplug.values import MapShape

STEM_MULTIPLIER = 3
"""The CIFAR stem has three times the channels of the first cell, as in DARTS."""
IMAGENET_FROM = 64
"""Images of at least this many pixels get the ImageNet stem where the stem is left to choose."""


def halved(size: int) -> int:
    """The side of a map after any operation of stride 2."""
    return (size + 1) // 2


def reductions(cells: int) -> frozenset[int]:
    """The cells that halve the map and double the channels: those at one and two thirds of the depth, as in DARTS.

    The first cell is never one of them, so networks of one or two cells have none or one reduction.
    """
    return frozenset({cells // 3, 2 * cells // 3} - {0})


def tapped(cells: int) -> tuple[int, ...]:
    """The cells where networks are compared: those before a reduction, and the last (DNAD)."""
    return (*(position - 1 for position in sorted(reductions(cells))), cells - 1)


def block_of(cell: int, cells: int) -> int:
    """The block in which a cell stands: blocks end where networks are compared."""
    return sum(cell > end for end in tapped(cells))


def resolve_stem(stem: str, size: int) -> str:
    """The stem that "auto" stands for at this image size, or the one named."""
    if stem != "auto":
        return stem
    return "imagenet" if size >= IMAGENET_FROM else "cifar"


@attrs.frozen
class CellPlan:
    """One cell: its place in the network, channels of its nodes and of its two inputs, and the map that it reads."""

    index: int
    reduction: bool
    halves_older: bool
    """Whether input 0 is twice as large as input 1, because a reduction lies between them."""
    channels: int
    inputs: tuple[int, int]
    """Channels of cells k-2 and k-1."""
    size: int
    """Side of the map of input 1."""

    @property
    def kind(self) -> str:
        """The type of the cell, as in genotypes."""
        return "reduce" if self.reduction else "normal"

    @property
    def out_size(self) -> int:
        """Side of the map of the nodes."""
        return halved(self.size) if self.reduction else self.size

    def input_shape(self, source: int) -> MapShape:
        """The maps of input 0 or 1."""
        twice = source == 0 and self.halves_older
        return MapShape(self.inputs[source], 2 * self.size if twice else self.size)

    def stride(self, source: int) -> int:
        """The stride of the operations that read this state."""
        return 2 if self.reduction and source < 2 else 1


@attrs.frozen
class NetworkPlan:
    """A network of cells behind a stem."""

    stem: str
    stem_channels: tuple[int, int]
    """Channels of the two outputs of the stem that the first cell reads."""
    cells: tuple[CellPlan, ...]
    out_channels: int

    @property
    def auxiliary_after(self) -> int:
        """The cell whose output an auxiliary head reads: at two thirds of the depth, as in DARTS."""
        return 2 * len(self.cells) // 3


def plan(stem: str, size: int, channels: int, widths: Sequence[int]) -> NetworkPlan:
    """The plan of a network. `widths` holds, for each cell, how many nodes it concatenates."""
    outer = STEM_MULTIPLIER * channels if stem == "cifar" else channels
    older = newer = outer
    halves_older = stem == "imagenet"
    if stem == "imagenet":
        size = halved(halved(halved(size)))
    cells = []
    for index, width in enumerate(widths):
        reduction = index in reductions(len(widths))
        channels *= 2 if reduction else 1
        cell = CellPlan(index, reduction, halves_older, channels, (older, newer), size)
        cells.append(cell)
        older, newer, size, halves_older = newer, width * channels, cell.out_size, reduction
    return NetworkPlan(stem, (outer, outer), tuple(cells), newer)
