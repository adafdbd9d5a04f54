"""The stand-alone network of a genotype (EfficientNet, with the layers of a DNA genotype)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from nasplug.builtin.layers import drop_path
from nasplug.builtin.mbconv.layers import Head, MBConv, Stem
from nasplug.builtin.mbconv.plan import NetworkPlan
from nasplug.builtin.mbconv.topology import Chain
from nasplug.parts import Network, Outputs


class MBConvNetwork(Network):
    """Stem, blocks of inverted residuals, head. Drop path grows linearly with depth, as in EfficientNet."""

    static_graph = True

    def __init__(self, plan: NetworkPlan, chains: Sequence[Chain]) -> None:
        super().__init__()
        self.stem = Stem(plan.stem, nn.BatchNorm2d)
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                MBConv(layer, operation, nn.BatchNorm2d)
                for layer, operation in zip(layers, chain.operations, strict=True)
            )
            for layers, chain in zip(plan.blocks, chains, strict=True)
        )
        self.head = Head(plan.blocks[-1][-1].outside, plan.head, plan.classes, nn.BatchNorm2d)
        self.depth = 1 + sum(map(len, plan.blocks))
        initialise(self)

    def outputs(self, images: Tensor) -> Outputs:
        """Logits, and as taps the outputs of the blocks."""
        x = self.stem(images)
        taps, passed = [], 1  # the stem's separable layer counts to the depth, though it has no residual
        for block in self.blocks:
            for layer in cast("nn.ModuleList", block):
                x = self._layer(cast("MBConv", layer), x, passed / self.depth)
                passed += 1
            taps.append(x)
        return Outputs(logits=self.head(x, self.dropout), taps=tuple(taps))

    def _layer(self, layer: MBConv, x: Tensor, depth: float) -> Tensor:
        branch: Tensor = layer(x)
        if not layer.plan.residual:
            return branch
        if self.training and self.drop_path > 0:
            branch = drop_path(branch, self.drop_path * depth)
        return x + branch


@torch.no_grad()
def initialise(net: nn.Module) -> None:
    """EfficientNet's initial weights: convolutions normal by their fan-out, linear layers uniform, biases zero.

    The layers of squeeze-excitation count as linear; EfficientNet has them as 1x1 convolutions.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * math.prod(module.kernel_size) // module.groups
            module.weight.normal_(0.0, math.sqrt(2 / fan_out))
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.out_features)
            module.weight.uniform_(-bound, bound)
            module.bias.zero_()
