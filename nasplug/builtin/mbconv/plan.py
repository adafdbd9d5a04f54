"""The plan of a network: how wide its layers are and how large the maps that they read; no weights.

Supernet, stand-alone network and cost all read the same plan.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from nasplug.builtin.mbconv.names import Cell
from nasplug.builtin.mbconv.offer import Cells
from nasplug.values import ImageShape, MapShape

PUBLISHED_STEM = 32
"""Channels of the stem at which every cell has the width in its name."""
STEM_WIDTH = 16
"""The width of the stem's output then."""
IMAGENET_FROM = 64
"""Images of at least this many pixels get the ImageNet stem where the stem is left to choose."""
WIDEST_HEAD = 1280


@attrs.frozen
class LayerPlan:
    """One layer, whatever its operation: the channels that it reads and gives, its stride, the map that it reads."""

    inside: int
    outside: int
    stride: int
    size: int

    @property
    def out_size(self) -> int:
        """Side of the map that it gives."""
        return halved(self.size) if self.stride == 2 else self.size

    @property
    def squeezed(self) -> int:
        """Channels in the middle of its squeeze-excitation: a quarter of those that the layer reads (EfficientNet)."""
        return max(1, self.inside // 4)

    @property
    def residual(self) -> bool:
        """Whether its input is added to its output."""
        return self.stride == 1 and self.inside == self.outside


@attrs.frozen
class StemPlan:
    """A 3x3 convolution and a depthwise separable layer."""

    planes: int
    channels: int
    outside: int
    stride: int
    size: int
    """Side of the map that it gives."""

    @property
    def separable(self) -> LayerPlan:
        """Its second layer."""
        return LayerPlan(self.channels, self.outside, stride=1, size=self.size)


@attrs.frozen
class NetworkPlan:
    """A stem, blocks of layers, and a head of one 1x1 convolution in front of the classifier."""

    stem: StemPlan
    blocks: tuple[tuple[LayerPlan, ...], ...]
    head: int
    """Channels of the head."""
    classes: int


@attrs.frozen
class SupernetPlan:
    """A network that holds every cell of every block.

    All cells of a block give the same channels, so that they can be mixed: the width of the first one. Or twice that,
    which is what EfficientNet-B7 has where DNA has its blocks, so that no adaptor is needed (DNA, student_supernet.py).
    """

    stem: StemPlan
    blocks: tuple[dict[Cell, tuple[LayerPlan, ...]], ...]
    outputs: tuple[MapShape, ...]
    """What each block gives."""
    head: int
    classes: int


@attrs.frozen
class Widths:
    """How wide everything is: `channels` of the stem's convolution, and the head (None: four times the last width)."""

    channels: int
    head: int | None

    def __call__(self, width: int) -> int:
        """The channels of a layer of this nominal width.

        As listed for a stem of 32 channels; in proportion for another, rounded to a multiple of 8, or of 2 below 32
        channels, or to whole numbers below 8.
        """
        exact = width * self.channels / PUBLISHED_STEM
        if self.channels == PUBLISHED_STEM:
            return width
        unit = 8 if exact >= 32 else 2 if exact >= 8 else 1
        return max(1, unit * int(exact / unit + 0.5))

    @property
    def stem(self) -> int:
        """The channels of the stem's output."""
        return self(STEM_WIDTH)

    def of_head(self, width: int) -> int:
        """The channels of the head behind a last block of this nominal width."""
        return self.head if self.head is not None else min(WIDEST_HEAD, 4 * self(width))


def halved(size: int) -> int:
    """The side of a map after a layer of stride 2."""
    return (size + 1) // 2


def size_after(size: int, offer: Cells) -> int:
    """The side of a map of `size` pixels after these blocks."""
    for offered in offer:
        size = halved(size) if offered[0].stride == 2 else size
    return size


def stem_plan(stem: str, widths: Widths, shape: ImageShape) -> StemPlan:
    """The stem of this name: "imagenet" halves the images, "small" does not, "auto" depends on their size."""
    stride = 2 if stem == "imagenet" or (stem == "auto" and shape.size >= IMAGENET_FROM) else 1
    size = halved(shape.size) if stride == 2 else shape.size
    return StemPlan(shape.channels, widths.channels, widths.stem, stride, size)


def cell_plan(cell: Cell, widths: Widths, inside: int, size: int, outside: int | None = None) -> tuple[LayerPlan, ...]:
    """The layers of a cell that reads `inside` channels; the last gives `outside` channels, or the cell's own width."""
    width = widths(cell.width)
    gives = [width] * (cell.layers - 1) + [outside or width]
    layers = []
    for layer, channels in enumerate(gives):
        plan = LayerPlan(inside, channels, cell.stride if layer == 0 else 1, size)
        layers.append(plan)
        inside, size = plan.outside, plan.out_size
    return tuple(layers)


def network_plan(stem: StemPlan, cells: Sequence[Cell], widths: Widths, classes: int) -> NetworkPlan:
    """The stand-alone network of these cells."""
    inside, size, blocks = stem.outside, stem.size, []
    for cell in cells:
        layers = cell_plan(cell, widths, inside, size)
        blocks.append(layers)
        inside, size = layers[-1].outside, layers[-1].out_size
    return NetworkPlan(stem, tuple(blocks), widths.of_head(cells[-1].width), classes)


def supernet_plan(stem: StemPlan, offer: Cells, widths: Widths, classes: int, doubled: bool) -> SupernetPlan:
    """The supernet of all these cells; `doubled` is twice the width (see `SupernetPlan`)."""
    inside, size, blocks, outputs = stem.outside, stem.size, [], []
    for offered in offer:
        outside = widths(offered[0].width) * (2 if doubled else 1)
        blocks.append({cell: cell_plan(cell, widths, inside, size, outside) for cell in offered})
        inside, size = outside, blocks[-1][offered[0]][-1].out_size
        outputs.append(MapShape(inside, size))
    return SupernetPlan(stem, tuple(blocks), tuple(outputs), widths.of_head(offer[-1][0].width), classes)
