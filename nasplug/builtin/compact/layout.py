"""The layout of a network: how wide its layers are and how large the maps that they read.

Supernet, stand-alone network and cost all use the same layout. It has no weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from nasplug.builtin.compact.genotype import Width, keeps_shape
from nasplug.builtin.layers import LayerShape, round_width, stem_stride
from nasplug.values import ImageShape

NOMINAL_CHANNELS = 16
"""The value of the option `channels` at which every stage has the width in its name."""
COARSEST = 4
"""Wide stages have a multiple of this many channels: CPUs compute as many of 8 bits at a time."""


@attrs.frozen
class LayerLayout(LayerShape):
    """A layer of the space, whatever its operation."""

    keeps_shape: bool
    """Whether its input can be added to its output, or take its place. By its position, not by its channels: the first
    layer of a stage may happen to have as many channels as it reads."""


@attrs.frozen
class NetworkLayout:
    """A stem as wide as the first stage, stages of layers, and a head."""

    stem: LayerLayout
    stages: tuple[tuple[LayerLayout, ...], ...]
    head: int
    """Channels of the convolution in front of the classifier; 0: there is none."""
    classes: int

    @property
    def last(self) -> LayerLayout:
        """The last layer of all."""
        return self.stages[-1][-1]


def scale_width(width: Width, channels: float) -> int:
    """The channels of a stage of this nominal width in networks of `channels`, which may be between whole numbers.

    In proportion, rounded to a multiple of 4, or of 2 below 32 channels, or to whole numbers below 8; exactly as named
    at 16.
    """
    if channels == NOMINAL_CHANNELS:
        return width.channels
    return round_width(width.channels * channels / NOMINAL_CHANNELS, COARSEST)


def make_stem_layout(stem: str, channels: int, shape: ImageShape) -> LayerLayout:
    """The stem of this name, which gives `channels` channels."""
    stride = stem_stride(stem, shape.size)
    return LayerLayout(shape.channels, channels, stride, shape.size, keeps_shape=False, dims=shape.dims)


def make_stage_layout(
    number: int, layers: int, in_channels: int, out_channels: int, stride: int, size: int, dims: int
) -> tuple[LayerLayout, ...]:
    """The layers of stage `number`, which reads `in_channels` channels and maps of `size`, in `dims` dimensions."""
    layouts = []
    for layer in range(1, layers + 1):
        layout = LayerLayout(
            in_channels,
            out_channels,
            stride if layer == 1 else 1,
            size,
            keeps_shape(number, stride, layer),
            dims=dims,
        )
        layouts.append(layout)
        in_channels, size = out_channels, layout.out_size
    return tuple(layouts)


def make_network_layout(
    stem: LayerLayout, widths: Sequence[int], strides: Sequence[int], depths: Sequence[int], head: int, classes: int
) -> NetworkLayout:
    """The network whose stages have these channels, strides and numbers of layers."""
    in_channels, size, stages = stem.out_channels, stem.out_size, []
    for number, (width, stride, layers) in enumerate(zip(widths, strides, depths, strict=True)):
        stages.append(make_stage_layout(number, layers, in_channels, width, stride, size, stem.dims))
        in_channels, size = width, stages[-1][-1].out_size
    return NetworkLayout(stem, tuple(stages), head, classes)
