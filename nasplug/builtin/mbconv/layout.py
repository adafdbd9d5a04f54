"""The layout of a network: how wide its layers are and how large the maps that they read.

Supernet, stand-alone network and cost all use the same layout. It has no weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from nasplug.builtin.layers import LayerShape, half_size, round_width, stem_stride
from nasplug.builtin.mbconv.choices import Cells
from nasplug.builtin.mbconv.genotype import Cell
from nasplug.builtin.scaled_widths import SIXTEENTHS
from nasplug.values import ImageShape, MapShape

PUBLISHED_STEM = 32
"""Channels of the stem at which every cell has the width in its name."""
STEM_WIDTH = 16
"""The width of the stem's output then."""
WIDEST_HEAD = 1280


@attrs.frozen
class LayerLayout(LayerShape):
    """A layer of a cell, whatever its operation."""

    @property
    def squeeze_channels(self) -> int:
        """Channels in the middle of its squeeze-excitation: a quarter of those that the layer reads (EfficientNet)."""
        return max(1, self.in_channels // 4)

    @property
    def residual(self) -> bool:
        """Whether its input is added to its output."""
        return self.stride == 1 and self.in_channels == self.out_channels


@attrs.frozen
class StemLayout:
    """A 3x3 convolution and a depthwise separable layer."""

    in_channels: int
    channels: int
    """Channels of the convolution."""
    out_channels: int
    stride: int
    size: int
    """Side of the map that it gives."""
    dims: int

    @property
    def separable(self) -> LayerLayout:
        """Its second layer."""
        return LayerLayout(self.channels, self.out_channels, stride=1, size=self.size, dims=self.dims)


@attrs.frozen
class NetworkLayout:
    """A stem, blocks of layers, and a head of one 1x1 convolution in front of the classifier."""

    stem: StemLayout
    blocks: tuple[tuple[LayerLayout, ...], ...]
    head: int
    """Channels of the head."""
    classes: int


@attrs.frozen
class SupernetLayout:
    """A network that holds every cell of every block.

    All cells of a block have the same output channels, so that they can be added: the width of the first one, or twice
    that. The latter are the channels of EfficientNet-B7 at the same places, so that a teacher needs no adaptor (DNA,
    student_supernet.py).
    """

    stem: StemLayout
    blocks: tuple[dict[Cell, tuple[LayerLayout, ...]], ...]
    outputs: tuple[MapShape, ...]
    """The output of each block."""
    head: int
    classes: int


@attrs.frozen
class Widths:
    """The widths of layers: `channels` of the stem's convolution, and of the head (None: four times the last width)."""

    channels: int
    head: int | None
    sixteenths: int = 0
    """Of a channel; the stem has whole channels, and all layers behind it are a little wider."""

    def __call__(self, width: int) -> int:
        """The channels of a layer of this nominal width.

        As listed for a stem of 32 channels; in proportion for another, rounded to a multiple of 8, or of 2 below 32
        channels, or to whole numbers below 8.
        """
        channels = self.channels + self.sixteenths / SIXTEENTHS
        if channels == PUBLISHED_STEM:
            return width
        return round_width(width * channels / PUBLISHED_STEM, coarsest=8)

    @property
    def stem(self) -> int:
        """The channels of the stem's output."""
        return self(STEM_WIDTH)

    def of_head(self, width: int) -> int:
        """The channels of the head behind a last block of this nominal width."""
        return self.head if self.head is not None else min(WIDEST_HEAD, 4 * self(width))


def size_after(size: int, blocks: Cells) -> int:
    """The side of a map of `size` pixels after these blocks."""
    for cells in blocks:
        size = half_size(size) if cells[0].stride == 2 else size
    return size


def make_stem_layout(stem: str, widths: Widths, shape: ImageShape) -> StemLayout:
    """The stem of this name: "imagenet" halves the images, "small" does not, "auto" depends on their size."""
    stride = stem_stride(stem, shape.size)
    size = half_size(shape.size) if stride == 2 else shape.size
    return StemLayout(shape.channels, widths.channels, widths.stem, stride, size, shape.dims)


def make_cell_layout(
    cell: Cell, widths: Widths, in_channels: int, size: int, dims: int, out_channels: int | None = None
) -> tuple[LayerLayout, ...]:
    """The layers of a cell.

    It reads `in_channels` channels and maps of `size` pixels in `dims` dimensions. The last layer gives
    `out_channels` channels, by default the cell's own width.
    """
    width = widths(cell.width)
    widths_of_layers = [width] * (cell.layers - 1) + [out_channels or width]
    layers = []
    for layer, channels in enumerate(widths_of_layers):
        layout = LayerLayout(in_channels, channels, cell.stride if layer == 0 else 1, size, dims=dims)
        layers.append(layout)
        in_channels, size = layout.out_channels, layout.out_size
    return tuple(layers)


def make_network_layout(stem: StemLayout, cells: Sequence[Cell], widths: Widths, classes: int) -> NetworkLayout:
    """The stand-alone network of these cells."""
    in_channels, size, blocks = stem.out_channels, stem.size, []
    for cell in cells:
        layers = make_cell_layout(cell, widths, in_channels, size, stem.dims)
        blocks.append(layers)
        in_channels, size = layers[-1].out_channels, layers[-1].out_size
    return NetworkLayout(stem, tuple(blocks), widths.of_head(cells[-1].width), classes)


def make_supernet_layout(stem: StemLayout, cells: Cells, widths: Widths, classes: int, doubled: bool) -> SupernetLayout:
    """The supernet of all these cells; `doubled` is twice the width (see `SupernetLayout`)."""
    in_channels, size, blocks, outputs = stem.out_channels, stem.size, [], []
    for alternatives in cells:
        out_channels = widths(alternatives[0].width) * (2 if doubled else 1)
        blocks.append(
            {cell: make_cell_layout(cell, widths, in_channels, size, stem.dims, out_channels) for cell in alternatives}
        )
        outputs.append(blocks[-1][alternatives[0]][-1].output)
        in_channels, size = out_channels, outputs[-1].size
    head = widths.of_head(cells[-1][0].width)
    return SupernetLayout(stem, tuple(blocks), tuple(outputs), head, classes)
