"""The layers of reference networks: blocks with and without a shortcut, in stages, and strides that fit the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin.layers import Convolution, Depthwise, Pointwise, half_size, initialise_weights, pool_arguments
from nasplug.parts import Network, Outputs
from nasplug.supernets import drop_path


class Block(nn.Module):
    """A branch of layers, plus a shortcut where there is one; then an activation."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None, activation: nn.Module) -> None:
        super().__init__()
        self.branch, self.shortcut, self.activation = branch, shortcut, activation

    def forward(self, x: Tensor, drop_probability: float) -> Tensor:
        """(N, C, H, W) to (N, C', H', W'); in training, the branch of a sample is dropped with `drop_probability`."""
        y: Tensor = self.branch(x)
        if self.shortcut is not None:
            if self.training and drop_probability > 0:
                y = drop_path(y, drop_probability)
            y = y + self.shortcut(x)
        activated: Tensor = self.activation(y)
        return activated


class StagedNetwork(Network):
    """Stem, stages of blocks, global average pooling, dropout and a linear classifier; a tap after every stage.

    The probability of dropping a branch grows linearly with depth, up to `drop_path` in the last block (Huang et al.,
    Deep Networks with Stochastic Depth, section 3).
    """

    static_graph = True

    def __init__(self, stem: nn.Module, stages: Sequence[Sequence[Block]], features: nn.Module, classifier: nn.Linear):
        super().__init__()
        self.stem = stem
        self.stages = nn.ModuleList(nn.ModuleList(stage) for stage in stages)
        self.features = features
        self.classifier = classifier
        self.depth = sum(map(len, stages))
        initialise_weights(self)

    def outputs(self, images: Tensor) -> Outputs:
        """Logits, and as taps the outputs of the stages."""
        x: Tensor = self.stem(images)
        taps, number = [], 0
        for stage in self.stages:
            for block in cast("nn.ModuleList", stage):
                number += 1
                x = block(x, self.drop_path * number / self.depth)
            taps.append(x)
        pooled = self.features(x).mean((2, 3))
        return Outputs(logits=self.classifier(F.dropout(pooled, self.dropout, self.training)), taps=tuple(taps))


def convolution(
    in_channels: int,
    out_channels: int,
    stride: int = 1,
    activation: type[nn.Module] = nn.ReLU,
    bias: bool = False,
    *,
    dims: int = 2,
) -> nn.Sequential:
    """3x3 convolution, or one over 3 samples of signals (`dims` 1), batch norm, activation."""
    layer = Convolution(in_channels, out_channels, 3, stride, dims=dims, bias=bias)
    return nn.Sequential(layer, nn.BatchNorm2d(out_channels), activation())


def pointwise(in_channels: int, out_channels: int, activation: type[nn.Module] = nn.Identity) -> nn.Sequential:
    """1x1 convolution, batch norm, activation."""
    return nn.Sequential(Pointwise(in_channels, out_channels), nn.BatchNorm2d(out_channels), activation())


def depthwise(channels: int, stride: int, activation: type[nn.Module] = nn.ReLU, *, dims: int = 2) -> nn.Sequential:
    """3x3 depthwise convolution, or one over 3 samples of signals, batch norm, activation."""
    return nn.Sequential(Depthwise(channels, 3, stride, dims=dims), nn.BatchNorm2d(channels), activation())


def max_pool(stride: int, dims: int = 2) -> nn.Module:
    """3x3 max pooling, or over 3 samples of signals, or nothing where the map keeps its size."""
    return nn.MaxPool2d(**pool_arguments(stride, dims)) if stride > 1 else nn.Identity()


def choose_strides(size: int, places: int, largest: int) -> tuple[int, ...]:
    """Strides of 1 and 2 for `places` layers: the last of them halve maps of `size` pixels until `largest` is reached.

    Images for which even strides of 2 in all places are not enough leave a larger map.
    """
    halvings = 0
    while size > largest and halvings < places:
        size, halvings = half_size(size), halvings + 1
    return (1,) * (places - halvings) + (2,) * halvings
