"""ResNet-8, and the plain network that is the same without shortcuts."""

from __future__ import annotations

from abc import abstractmethod

import attrs
from torch import nn

from nasplug.builtin.references.layers import Block, StagedNetwork, choose_strides, convolution, max_pool
from nasplug.builtin.references.scalable import Scalable
from nasplug.parts import Network, option
from nasplug.values import ImageShape

STEM, STAGES = 16, (16, 32, 64)
"""Channels at width 1."""


@attrs.frozen
class TwoLayerStages(Scalable):
    """A 3x3 convolution, three stages of two 3x3 convolutions each, global average pooling, a linear layer.

    Every convolution is followed by a batch norm and a ReLU. Maps are halved at the beginning of a stage, from the last
    stage to the first; large images are halved by the stem and by a max pooling after it, too.
    """

    bias: bool = option(False, "whether convolutions have a bias, which their batch norms make idle")

    @property
    @abstractmethod
    def largest_map(self) -> int:
        """The side up to which the last map is halved, in pixels."""

    @abstractmethod
    def shortcut(self, in_channels: int, out_channels: int, stride: int) -> nn.Module | None:
        """What is added to the two convolutions of a stage; None: nothing."""

    def network(self, shape: ImageShape) -> Network:
        """The network, with a tap after each of its three stages."""
        stem, pool, *strides = choose_strides(shape.size, 2 + len(STAGES), self.largest_map)
        channels = self.channels(STEM)
        first = convolution(shape.channels, channels, stem, bias=self.bias, dims=shape.dims)
        stages = []
        for published, stride in zip(STAGES, strides, strict=True):
            stages.append([self._block(channels, self.channels(published), stride, shape.dims)])
            channels = self.channels(published)
        classifier = nn.Linear(channels, shape.classes)
        return StagedNetwork(nn.Sequential(first, max_pool(pool, shape.dims)), stages, nn.Identity(), classifier)

    def _block(self, in_channels: int, out_channels: int, stride: int, dims: int) -> Block:
        branch = nn.Sequential(
            convolution(in_channels, out_channels, stride, bias=self.bias, dims=dims),
            convolution(out_channels, out_channels, activation=nn.Identity, bias=self.bias, dims=dims),
        )
        return Block(branch, self.shortcut(in_channels, out_channels, stride), nn.ReLU())


@attrs.frozen
class ResNet8(TwoLayerStages):
    """The image classifier of MLPerf Tiny (Banbury et al. 2021), a ResNet of three basic blocks.

    Where a block changes the form of its map, its shortcut is a 1x1 convolution without batch norm. With 32x32 pixels
    the last map has 8x8, as published; the published network has biases.
    """

    @property
    def largest_map(self) -> int:
        """As published for 32x32 pixels."""
        return 8

    def shortcut(self, in_channels: int, out_channels: int, stride: int) -> nn.Module | None:
        """The identity where the form stays."""
        if stride == 1 and in_channels == out_channels:
            return nn.Identity()
        return nn.Conv2d(in_channels, out_channels, 1, stride, bias=self.bias)


@attrs.frozen
class Plain(TwoLayerStages):
    """A stack of seven 3x3 convolutions, each with batch norm and ReLU: what the first attempt by hand looks like."""

    @property
    def largest_map(self) -> int:
        """Each of the three stages halves maps of 32x32 pixels."""
        return 4

    def shortcut(self, in_channels: int, out_channels: int, stride: int) -> nn.Module | None:
        """There is none."""
        return None
