"""DS-CNN, a small network of depthwise separable convolutions."""

from __future__ import annotations

import attrs
from torch import nn

from nasplug.builtin.references.layers import Block, StagedNetwork, choose_strides, convolution, depthwise, pointwise
from nasplug.builtin.references.scalable import Scalable
from nasplug.parts import Network
from nasplug.values import ImageShape

CHANNELS, BLOCKS = 64, 4
"""Channels of all layers at width 1, and the depthwise separable blocks."""
LARGEST_MAP = 8


@attrs.frozen
class DSCNN(Scalable):
    """The keyword spotter of MLPerf Tiny (Zhang et al., Hello Edge, 2017), for square images.

    A convolution and four depthwise separable blocks of equal width, global average pooling, a linear layer. Instead of
    10x4, which fits spectrograms, the first kernel is 3x3; convolutions have no biases, which their batch norms make
    idle. The first layers halve the map, as many as it takes to come to 8x8 pixels.
    """

    def network(self, shape: ImageShape) -> Network:
        """The network, with a tap after every block."""
        stem, *strides = reversed(choose_strides(shape.size, 1 + BLOCKS, LARGEST_MAP))
        channels = self.channels(CHANNELS)
        blocks = [
            [
                Block(
                    nn.Sequential(depthwise(channels, stride, dims=shape.dims), pointwise(channels, channels)),
                    None,
                    nn.ReLU(),
                )
            ]
            for stride in strides
        ]
        classifier = nn.Linear(channels, shape.classes)
        first = convolution(shape.channels, channels, stem, dims=shape.dims)
        return StagedNetwork(first, blocks, nn.Identity(), classifier)
