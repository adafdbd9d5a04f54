"""MobileNetV2 for small and large images."""

from __future__ import annotations

import attrs
from torch import nn

from nasplug.builtin.references.layers import Block, StagedNetwork, choose_strides, convolution, depthwise, pointwise
from nasplug.builtin.references.scalable import Scalable
from nasplug.parts import Network
from nasplug.values import ImageShape

STEM, HEAD = 32, 1280
STAGES = (
    (1, 16, 1, False),
    (6, 24, 2, True),
    (6, 32, 3, True),
    (6, 64, 4, True),
    (6, 96, 3, False),
    (6, 160, 3, True),
    (6, 320, 1, False),
)
"""Expansion, channels, blocks, and whether the first block may halve the map (table 2 of the paper)."""
LARGEST_MAP = 4


@attrs.frozen
class MobileNetV2(Scalable):
    """Inverted residuals with linear bottlenecks and ReLU6 (Sandler et al. 2018).

    Images of 224x224 pixels are halved where the paper does; of smaller ones fewer layers halve the map, the last ones,
    down to 4x4 pixels. All channels follow the width, without rounding to multiples of eight, and so does the last
    layer, which the paper keeps at 1280 for widths below 1.
    """

    def network(self, shape: ImageShape) -> Network:
        """The network, with a tap after each of its seven stages."""
        places = 1 + sum(may_halve for *_, may_halve in STAGES)
        stem, *strides = choose_strides(shape.size, places, LARGEST_MAP)
        channels = self.channels(STEM)
        first = convolution(shape.channels, channels, stem, nn.ReLU6, dims=shape.dims)
        stages, left = [], iter(strides)
        for expansion, published, count, may_halve in STAGES:
            stage, out_channels = [], self.channels(published)
            for number in range(count):
                stride = next(left) if may_halve and number == 0 else 1
                stage.append(_inverted_residual(channels, out_channels, expansion, stride, shape.dims))
                channels = out_channels
            stages.append(stage)
        head = self.channels(HEAD)
        return StagedNetwork(first, stages, pointwise(channels, head, nn.ReLU6), nn.Linear(head, shape.classes))


def _inverted_residual(in_channels: int, out_channels: int, expansion: int, stride: int, dims: int) -> Block:
    hidden = expansion * in_channels
    branch = nn.Sequential(
        *([pointwise(in_channels, hidden, nn.ReLU6)] if expansion > 1 else []),
        depthwise(hidden, stride, nn.ReLU6, dims=dims),
        pointwise(hidden, out_channels),
    )
    keeps_form = stride == 1 and in_channels == out_channels
    return Block(branch, nn.Identity() if keeps_form else None, nn.Identity())
