"""The layers of networks and supernets (EfficientNet: swish, squeeze-excitation), and the stand-alone network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin.layers import Convolution, Depthwise, Pointwise
from nasplug.builtin.mbconv.genotype import Chain, Operation
from nasplug.builtin.mbconv.layout import LayerLayout, NetworkLayout, StemLayout
from nasplug.parts import Network, Outputs
from nasplug.supernets import drop_path
from nasplug.supernets.normalise import NormFactory


class Separable(nn.Module):
    """Depthwise convolution, squeeze-excitation, linear 1x1 convolution; no residual."""

    def __init__(self, layout: LayerLayout, channels: int, kernel: int, norm: NormFactory) -> None:
        super().__init__()
        self.layout, self.channels = layout, channels
        self.depthwise = Depthwise(channels, kernel, layout.stride, dims=layout.dims)
        self.depthwise_norm = norm(channels)
        self.squeeze = nn.Linear(channels, layout.squeeze_channels)
        self.excite = nn.Linear(layout.squeeze_channels, channels)
        self.project = Pointwise(channels, layout.out_channels)
        self.project_norm = norm(layout.out_channels)

    def gate(self, pooled: Tensor) -> Tensor:
        """From the mean of every channel, (N, channels), to the factor by which it is scaled."""
        factor: Tensor = self.excite(F.silu(self.squeeze(pooled))).sigmoid()
        return factor

    def branch_before_norm(self, x: Tensor) -> Tensor:
        """The result of `forward` before its last norm."""
        x = F.silu(self.depthwise_norm(self.depthwise(x)))
        x = x * self.gate(x.mean((2, 3)))[:, :, None, None]
        projected: Tensor = self.project(x)
        return projected

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, out_channels, H', W')."""
        normed: Tensor = self.project_norm(self.branch_before_norm(x))
        return normed


class MBConv(Separable):
    """The residual branch of an inverted residual: a 1x1 convolution that expands, then as `Separable`."""

    def __init__(self, layout: LayerLayout, operation: Operation, norm: NormFactory) -> None:
        super().__init__(layout, operation.expansion * layout.in_channels, operation.kernel, norm)
        self.operation = operation
        self.expand = Pointwise(layout.in_channels, self.channels)
        self.expand_norm = norm(self.channels)

    def branch_before_norm(self, x: Tensor) -> Tensor:
        """The result of `forward` for maps (N, in_channels, H, W), before its last norm."""
        return super().branch_before_norm(F.silu(self.expand_norm(self.expand(x))))


class Stem(nn.Module):
    """3x3 convolution, batch norm, swish, and a depthwise separable layer of half the channels."""

    def __init__(self, layout: StemLayout, norm: NormFactory) -> None:
        super().__init__()
        self.convolution = Convolution(layout.in_channels, layout.channels, 3, layout.stride, dims=layout.dims)
        self.norm = norm(layout.channels)
        self.separable = Separable(layout.separable, layout.channels, 3, norm)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) to (N, out_channels, H', W')."""
        features: Tensor = self.separable(F.silu(self.norm(self.convolution(images))))
        return features


class Head(nn.Module):
    """1x1 convolution, batch norm, swish, global average pooling, dropout and a linear classifier."""

    def __init__(self, in_channels: int, channels: int, classes: int, norm: NormFactory) -> None:
        super().__init__()
        self.convolution = Pointwise(in_channels, channels)
        self.norm = norm(channels)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: Tensor, dropout: float = 0.0) -> Tensor:
        """(N, in_channels, H, W) to the logits (N, classes)."""
        pooled = F.silu(self.norm(self.convolution(x))).mean((2, 3))
        logits: Tensor = self.classifier(F.dropout(pooled, dropout, self.training))
        return logits


class MBConvNetwork(Network):
    """Stem, blocks of inverted residuals, head. Drop path grows linearly with depth, as in EfficientNet."""

    static_graph = True

    def __init__(self, layout: NetworkLayout, chains: Sequence[Chain]) -> None:
        super().__init__()
        self.stem = Stem(layout.stem, nn.BatchNorm2d)
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                MBConv(layer, operation, nn.BatchNorm2d)
                for layer, operation in zip(layers, chain.operations, strict=True)
            )
            for layers, chain in zip(layout.blocks, chains, strict=True)
        )
        self.head = Head(layout.blocks[-1][-1].out_channels, layout.head, layout.classes, nn.BatchNorm2d)
        self.depth = 1 + sum(map(len, layout.blocks))
        initialise_weights(self)

    def outputs(self, images: Tensor) -> Outputs:
        """Logits, and as taps the outputs of the blocks."""
        x = self.stem(images)
        taps, number = [], 1  # the stem's separable layer is number 0, though it has no residual
        for block in self.blocks:
            for layer in cast("nn.ModuleList", block):
                x = self._run_layer(cast("MBConv", layer), x, number / self.depth)
                number += 1
            taps.append(x)
        return Outputs(logits=self.head(x, self.dropout), taps=tuple(taps))

    def _run_layer(self, layer: MBConv, x: Tensor, depth: float) -> Tensor:
        branch: Tensor = layer(x)
        if not layer.layout.residual:
            return branch
        if self.training and self.drop_path > 0:
            branch = drop_path(branch, self.drop_path * depth)
        return x + branch


@torch.no_grad()
def initialise_weights(net: nn.Module) -> None:
    """The initial weights of DNA's released networks, which are those of EfficientNet in timm.

    Convolutions are normal, their variance 2 over the fan-out (kernel area times output channels); that of a depthwise
    convolution counts all its channels, as if it had no groups. Squeeze-excitation, there two 1x1 convolutions, is
    alike. The classifier is uniform within 1 / sqrt(classes). Biases are zero.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * math.prod(module.kernel_size)
            module.weight.normal_(0.0, math.sqrt(2 / fan_out))
        elif isinstance(module, Separable):
            for layer in (module.squeeze, module.excite):
                layer.weight.normal_(0.0, math.sqrt(2 / layer.out_features))
                layer.bias.zero_()
        elif isinstance(module, Head):
            bound = 1 / math.sqrt(module.classifier.out_features)
            module.classifier.weight.uniform_(-bound, bound)
            module.classifier.bias.zero_()
