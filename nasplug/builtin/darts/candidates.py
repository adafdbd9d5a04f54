"""Candidate operations of a supernet: one module for each, many of them computed at once.

Candidates of one kind whose inputs are ready at the same time run as one grouped convolution, which on small maps
costs hardly more than a single one of them. Every candidate keeps a module with its own parameters, so that deleting
the candidate deletes the module.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin.darts.genotype import DILATED, FACTORISED, SEPARABLE, SKIP
from nasplug.builtin.darts.layers import make_factorised
from nasplug.supernets import Norm, batch_norm, pointwise
from nasplug.supernets.reduction import reduce_maps
from nasplug.supernets.separable import SeparableStage, Source, repeat_sources, separable
from nasplug.values import sides


def _weights(convolutions: Sequence[nn.Conv2d]) -> Tensor:
    weights = [convolution.weight for convolution in convolutions]
    return weights[0] if len(weights) == 1 else torch.cat(weights)


class Candidate(nn.Module, ABC):
    """One candidate operation with weights."""

    @classmethod
    @abstractmethod
    def compute_group(cls, modules: Sequence[Any], sources: Sequence[Source], stride: int, weight: Tensor) -> Tensor:
        """The results of G candidates of this class side by side, (N, G * C, H, W).

        `sources` are the states after their ReLU, each with the number of modules that read it; `modules` are sorted in
        that order. `weight`, (G * C,), scales the channels of the result: the candidates' weights in place of the
        affine parameters of their last batch norms.
        """


class Separable(Candidate):
    """One or more times: ReLU, depthwise convolution, 1x1 convolution, batch norm. Only the first has the stride."""

    def __init__(self, channels: int, kernel: int, repeats: int, dilation: int, dims: int = 2) -> None:
        super().__init__()
        self.dilation = dilation
        # These hold the weights, with torch's initial values; `compute_group` computes with them.
        self.depthwise = nn.ModuleList(
            nn.Conv2d(channels, channels, sides(kernel, dims), groups=channels, bias=False) for _ in range(repeats)
        )
        self.pointwise = nn.ModuleList(nn.Conv2d(channels, channels, 1, bias=False) for _ in range(repeats))
        self.norms = nn.ModuleList(Norm(channels) for _ in range(repeats))

    def stage(self, repeat: int) -> tuple[nn.Conv2d, nn.Conv2d, Norm]:
        """The two convolutions and the norm of one repetition."""
        layers = (self.depthwise[repeat], self.pointwise[repeat], self.norms[repeat])
        return cast("tuple[nn.Conv2d, nn.Conv2d, Norm]", layers)

    @classmethod
    def compute_group(cls, modules: Sequence[Self], sources: Sequence[Source], stride: int, weight: Tensor) -> Tensor:
        """See `Candidate`."""
        stages = []
        repeats = len(modules[0].norms)
        for repeat in range(repeats):
            depthwise_layers, pointwise_layers, norms = zip(*(module.stage(repeat) for module in modules), strict=True)
            scale = weight if repeat == repeats - 1 else None
            stages.append(SeparableStage(_weights(depthwise_layers), _weights(pointwise_layers), norms, scale))
        return separable(sources, stages, stride, modules[0].dilation)


class Factorised(Candidate):
    """ReLU, 1x7 convolution, 7x1 convolution (1x1 for signals), batch norm."""

    def __init__(self, channels: int, dims: int = 2) -> None:
        super().__init__()
        self.across, self.down = make_factorised(channels, 1, dims)
        self.norm = Norm(channels)

    @classmethod
    def compute_group(cls, modules: Sequence[Self], sources: Sequence[Source], stride: int, weight: Tensor) -> Tensor:
        """See `Candidate`."""
        x, groups = repeat_sources(sources), len(modules)
        x = F.conv2d(x, _weights([module.across for module in modules]), None, (1, stride), (0, 3), groups=groups)
        x = F.conv2d(
            x, _weights([module.down for module in modules]), None, (stride, 1), modules[0].down.padding, groups=groups
        )
        return batch_norm(x, [module.norm for module in modules], weight)


class Reduction(Candidate):
    """FactorizedReduce without affine parameters: a skip connection of stride 2."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.even = nn.Conv2d(in_channels, out_channels // 2, 1, bias=False)
        self.odd = nn.Conv2d(in_channels, out_channels - out_channels // 2, 1, bias=False)
        self.norm = Norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, ceil(H / 2), ceil(W / 2))."""
        return self.compute_group([self], [(F.relu(x), 1)], 2, None)

    @classmethod
    def compute_group(
        cls,
        modules: Sequence[Self],
        sources: Sequence[Source],
        stride: int,  # noqa: ARG003 - a Reduction always has stride 2
        weight: Tensor | None,
    ) -> Tensor:
        """See `Candidate`; all that read one state are two matrix products. Always of stride 2."""
        x = reduce_maps(sources, [(module.even.weight, module.odd.weight) for module in modules])
        return batch_norm(x, [module.norm for module in modules], weight)


class Projection(nn.Module):
    """ReLU, 1x1 convolution, batch norm without affine parameters: preprocesses an input of a cell."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.norm = Norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H, W)."""
        normed: Tensor = self.norm(pointwise(F.relu(x), self.convolution.weight))
        return normed


def make_candidate(operation: str, channels: int, stride: int, dims: int = 2) -> Candidate | None:
    """The module of a candidate, or None for operations without weights: identity, pools and `none`."""
    if operation in SEPARABLE:
        return Separable(channels, SEPARABLE[operation], repeats=2, dilation=1, dims=dims)
    if operation in DILATED:
        return Separable(channels, DILATED[operation], repeats=1, dilation=2, dims=dims)
    if operation == FACTORISED:
        return Factorised(channels, dims)
    if operation == SKIP and stride == 2:
        return Reduction(channels, channels)
    return None
