"""The stand-alone network, and what surrounds the layers in it and in the supernet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin.compact.genotype import SKIP, Operation
from nasplug.builtin.compact.layout import LayerLayout, NetworkLayout
from nasplug.builtin.compact.operations import Activation, LayerOperation, make_operation
from nasplug.builtin.layers import Convolution, Pointwise, initialise_weights
from nasplug.parts import Network, Outputs
from nasplug.supernets.normalise import NormFactory


class Stem(nn.Module):
    """3x3 convolution, batch norm, activation."""

    def __init__(self, layout: LayerLayout, norm: NormFactory, activation: Activation) -> None:
        super().__init__()
        self.convolution = Convolution(layout.in_channels, layout.out_channels, 3, layout.stride, dims=layout.dims)
        self.norm = norm(layout.out_channels)
        self.activation = activation

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) to (N, out_channels, H', W')."""
        return self.activation(self.norm(self.convolution(images)))


class Head(nn.Module):
    """Global average pooling, dropout and a linear classifier; before that, if asked for, a 1x1 convolution.

    The convolution, of `channels` channels (0: none), has a batch norm and an activation behind it.
    """

    def __init__(
        self, in_channels: int, channels: int, classes: int, norm: NormFactory, activation: Activation
    ) -> None:
        super().__init__()
        self.convolution = Pointwise(in_channels, channels) if channels else None
        self.norm = norm(channels) if channels else None
        self.activation = activation
        self.classifier = nn.Linear(channels or in_channels, classes)

    def forward(self, x: Tensor, dropout: float = 0.0) -> Tensor:
        """(N, in_channels, H, W) to the logits (N, classes)."""
        if self.convolution is not None and self.norm is not None:
            x = self.activation(self.norm(self.convolution(x)))
        logits: Tensor = self.classifier(F.dropout(x.mean((2, 3)), dropout, self.training))
        return logits


class CompactNetwork(Network):
    """Stem, stages of layers, head. Layers that are left out have no module. Drop path grows linearly with depth."""

    static_graph = True

    def __init__(self, layout: NetworkLayout, stages: Sequence[Sequence[Operation]], activation: Activation) -> None:
        super().__init__()
        self.stem = Stem(layout.stem, nn.BatchNorm2d, activation)
        self.stages = nn.ModuleList(
            nn.ModuleDict(
                {
                    str(number): make_operation(layer, operation, nn.BatchNorm2d, activation)
                    for number, (layer, operation) in enumerate(zip(layers, operations, strict=True), 1)
                    if operation.kind != SKIP
                }
            )
            for layers, operations in zip(layout.stages, stages, strict=True)
        )
        self.head = Head(layout.last.out_channels, layout.head, layout.classes, nn.BatchNorm2d, activation)
        self.depth = sum(len(cast("nn.ModuleDict", stage)) for stage in self.stages)
        initialise_weights(self)

    def outputs(self, images: Tensor) -> Outputs:
        """Logits, and as taps the outputs of the stages."""
        x = self.stem(images)
        taps, number = [], 0
        for stage in self.stages:
            for layer in cast("nn.ModuleDict", stage).values():
                number += 1
                drop = self.drop_path * number / self.depth if self.training else 0.0
                x = cast("LayerOperation", layer)(x, drop)
            taps.append(x)
        return Outputs(logits=self.head(x, self.dropout), taps=tuple(taps))
