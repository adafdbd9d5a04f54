"""The layout of a network: which cells it has, how wide they are and how large their maps, and what fills each cell.

Supernet, stand-alone network and cost all use the same layout. It has no weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from nasplug.builtin.darts.genotype import CellGraph, is_per_type, read_genotype
from nasplug.builtin.layers import half_size
from nasplug.errors import InputError
from nasplug.values import Genotype, MapShape

STEM_MULTIPLIER = 3
"""The CIFAR stem has three times the channels of the first cell, as in DARTS."""
IMAGENET_FROM = 64
"""Images of at least this many pixels get the ImageNet stem if the stem is "auto"."""


def reduction_cells(cells: int) -> frozenset[int]:
    """The cells that halve the map and double the channels: those at one and two thirds of the depth, as in DARTS.

    The first cell is never one of them, so networks of one or two cells have none or one reduction.
    """
    return frozenset({cells // 3, 2 * cells // 3} - {0})


def tap_cells(cells: int) -> tuple[int, ...]:
    """The cells whose outputs are taps: those before a reduction, and the last (DNAD)."""
    return (*(position - 1 for position in sorted(reduction_cells(cells))), cells - 1)


def block_of(cell: int, cells: int) -> int:
    """The number of the block to which a cell belongs: each tap ends a block."""
    return sum(cell > end for end in tap_cells(cells))


def resolve_stem(stem: str, size: int) -> str:
    """The name of the stem at this image size, where `stem` may be "auto"."""
    if stem != "auto":
        return stem
    return "imagenet" if size >= IMAGENET_FROM else "cifar"


@attrs.frozen
class CellLayout:
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
    dims: int = 2
    """2 for images, 1 for signals."""

    @property
    def kind(self) -> str:
        """The type of the cell, as in genotypes."""
        return "reduce" if self.reduction else "normal"

    @property
    def nodes(self) -> MapShape:
        """The maps of the nodes."""
        return MapShape(self.channels, self.out_size, self.dims)

    @property
    def out_size(self) -> int:
        """Side of the map of the nodes."""
        return half_size(self.size) if self.reduction else self.size

    def input_shape(self, source: int) -> MapShape:
        """The maps of input 0 or 1."""
        twice = source == 0 and self.halves_older
        return MapShape(self.inputs[source], 2 * self.size if twice else self.size, self.dims)

    def stride(self, source: int) -> int:
        """The stride of the operations that read this state."""
        return 2 if self.reduction and source < 2 else 1


@attrs.frozen
class NetworkLayout:
    """A network of cells behind a stem."""

    stem: str
    stem_channels: tuple[int, int]
    """Channels of the two outputs of the stem that the first cell reads."""
    cells: tuple[CellLayout, ...]
    out_channels: int

    @property
    def auxiliary_after(self) -> int:
        """The cell whose output an auxiliary head reads: at two thirds of the depth, as in DARTS."""
        return 2 * len(self.cells) // 3


def make_layout(stem: str, size: int, channels: int, widths: Sequence[int], dims: int = 2) -> NetworkLayout:
    """The layout of a network for images of `size` pixels, or signals of as many samples (`dims` 1).

    `channels` is the width of the first cell's nodes; `widths` holds, for each cell, how many nodes it concatenates.
    """
    outer = STEM_MULTIPLIER * channels if stem == "cifar" else channels
    older = newer = outer
    halves_older = stem == "imagenet"
    if stem == "imagenet":
        size = half_size(half_size(half_size(size)))
    cells = []
    for index, width in enumerate(widths):
        reduction = index in reduction_cells(len(widths))
        channels *= 2 if reduction else 1
        cell = CellLayout(index, reduction, halves_older, channels, (older, newer), size, dims)
        cells.append(cell)
        older, newer, size, halves_older = newer, width * channels, cell.out_size, reduction
    return NetworkLayout(stem, (outer, outer), tuple(cells), newer)


@attrs.frozen
class Blueprint:
    """A stand-alone network: its layout and what each of its cells computes, None for a cell that is not built."""

    layout: NetworkLayout
    graphs: tuple[CellGraph | None, ...]

    @property
    def built_cells(self) -> list[tuple[CellLayout, CellGraph]]:
        """The cells that are built."""
        return [(cell, graph) for cell, graph in zip(self.layout.cells, self.graphs, strict=True) if graph is not None]


def make_blueprint(genotype: Genotype, cells: int, channels: int, stem: str, size: int, dims: int = 2) -> Blueprint:
    """The network of a genotype at this size; InputError if the genotype fixes another number of cells."""
    by_name = read_genotype(genotype)
    if is_per_type(by_name):
        reductions = reduction_cells(cells)
        graphs = [by_name["reduce" if index in reductions else "normal"] for index in range(cells)]
    elif len(by_name) != cells:
        raise InputError(
            f"This genotype describes {len(by_name)} cells one by one, so it cannot be built with {cells} cells; "
            f"set cells={len(by_name)}."
        )
    else:
        graphs = list(by_name.values())
    required = required_cells(graphs)
    return Blueprint(
        layout=make_layout(stem, size, channels, [len(graph.concat) for graph in graphs], dims),
        graphs=tuple(graph if index in required else None for index, graph in enumerate(graphs)),
    )


def required_cells(graphs: Sequence[CellGraph]) -> frozenset[int]:
    """The cells that are built: the last, the reductions, and all that these read.

    Reductions are built even if no cell reads them, since the channels and the map of the cells behind them follow from
    theirs (NADD drops them and thereby misaligns the inputs of later cells).
    """
    last = len(graphs) - 1
    required = {last} | reduction_cells(len(graphs))
    for index in range(last, 0, -1):
        if index in required:
            required |= {index - 2 + source for source in graphs[index].inputs if index - 2 + source >= 0}
    return frozenset(required)
