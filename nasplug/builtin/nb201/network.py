"""Networks of the benchmark (AutoDL, TinyNetwork): their layout, what surrounds the cells, and their cost.

The supernet has the same layout and the same surroundings with cells of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import cast

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasplug.builtin.layers import convolution_cost, half_size, linear_cost
from nasplug.builtin.nb201.genotype import EDGES, KERNELS, LAST, NONE, POOL, error_location
from nasplug.parts import Network, Outputs
from nasplug.supernets import drop_path
from nasplug.supernets.normalise import NormFactory
from nasplug.values import Costs, ImageShape, MapShape


@attrs.frozen
class NetworkLayout:
    """The size of a network: three stages of equal cells; channels double and maps halve from one to the next."""

    images: ImageShape
    cells: int
    """Cells of each stage."""
    stages: tuple[MapShape, ...]
    """The maps of each stage."""


def make_layout(images: ImageShape, channels: int, cells: int) -> NetworkLayout:
    """The layout of a network whose first stage has `channels` channels, with `cells` cells in each stage."""
    half = half_size(images.size)
    sizes = (images.size, half, half_size(half))
    stages = tuple(MapShape(channels * 2**number, size) for number, size in enumerate(sizes))
    return NetworkLayout(images, cells, stages)


def network_cost(layout: NetworkLayout, operations: Sequence[str]) -> Costs:
    """The parameters of `NasBench201Network` and its multiply-accumulates per image, without building it.

    Parameters are those of the benchmark, to the unit. Multiply-accumulates are those of convolutions and linear
    layers; the benchmark's own "FLOPs" count one more for each class, the bias of the classifier.
    """
    first, last, classes = layout.stages[0], layout.stages[-1], layout.images.classes
    parts = [
        _conv_norm_cost(layout.images.channels, first, 3),
        Costs(params=2 * last.channels, macs=0),
        linear_cost(last.channels, classes),
    ]
    for before, after in pairwise(layout.stages):
        parts += [
            _conv_norm_cost(before.channels, after, 3),
            _conv_norm_cost(after.channels, after, 3),
            convolution_cost(before.channels * after.channels, after.size**2),
        ]
    kernels = [KERNELS[name] for name in operations if name in KERNELS]
    for stage in layout.stages:
        parts += layout.cells * [_conv_norm_cost(stage.channels, stage, kernel) for kernel in kernels]
    return Costs.total(parts)


def _conv_norm_cost(in_channels: int, output: MapShape, kernel: int) -> Costs:
    return convolution_cost(kernel * kernel * in_channels * output.channels, output.size**2, output.channels)


def relu_conv_norm(in_channels: int, out_channels: int, kernel: int, stride: int, norm: NormFactory) -> nn.Sequential:
    """ReLU, convolution, batch norm."""
    convolution = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), convolution, norm(out_channels))


def make_stem(in_channels: int, out_channels: int, norm: NormFactory) -> nn.Sequential:
    """3x3 convolution, batch norm."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False), norm(out_channels))


class Residual(nn.Module):
    """Two 3x3 convolutions beside a pooled 1x1 convolution: doubles the channels and halves the map."""

    def __init__(self, in_channels: int, out_channels: int, norm: NormFactory) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            relu_conv_norm(in_channels, out_channels, 3, 2, norm),
            relu_conv_norm(out_channels, out_channels, 3, 1, norm),
        )
        # With ceil_mode a map of odd size agrees with the branch; even sizes are pooled as published.
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, 2, ceil_mode=True), nn.Conv2d(in_channels, out_channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, ceil(H / 2), ceil(W / 2))."""
        total: Tensor = self.shortcut(x) + self.branch(x)
        return total


class Skeleton(nn.Module):
    """A network without its cells: stem, residual blocks between the stages, and classifier."""

    def __init__(self, layout: NetworkLayout, norm: NormFactory) -> None:
        super().__init__()
        widths = [stage.channels for stage in layout.stages]
        self.stem = make_stem(layout.images.channels, widths[0], norm)
        self.residuals = nn.ModuleList(Residual(before, after, norm) for before, after in pairwise(widths))
        self.norm = norm(widths[-1])
        self.classifier = nn.Linear(widths[-1], layout.images.classes)

    def enter(self, stage: int, x: Tensor) -> Tensor:
        """The input of the first cell of a stage, from the output of the stage before, or from images (N, C, H, W)."""
        entered: Tensor = self.stem(x) if stage == 0 else self.residuals[stage - 1](x)
        return entered

    def classify(self, x: Tensor, dropout: float = 0.0) -> Tensor:
        """Logits (N, classes) from the maps of the last stage."""
        pooled = F.relu(self.norm(x)).mean((2, 3))
        logits: Tensor = self.classifier(F.dropout(pooled, dropout, self.training))
        return logits

    def run(self, images: Tensor, stage: Callable[[int, Tensor], Tensor], dropout: float = 0.0) -> Outputs:
        """Logits, and as taps the outputs of the stages; `stage` computes the cells of a stage, by its number."""
        taps: list[Tensor] = []
        x = images
        for number in range(len(self.residuals) + 1):
            x = stage(number, self.enter(number, x))
            taps.append(x)
        return Outputs(logits=self.classify(x, dropout), taps=tuple(taps))


def make_operation(name: str, channels: int) -> nn.Module:
    """An operation other than `none`, with an affine batch norm if it has weights."""
    if name in KERNELS:
        return relu_conv_norm(channels, channels, KERNELS[name], 1, nn.BatchNorm2d)
    return nn.AvgPool2d(3, 1, 1, count_include_pad=False) if name == POOL else nn.Identity()


class Cell(nn.Module):
    """Every node is the sum of its edges, or zero where all of them are `none`.

    All other operations are built and computed, even where they read zeros or do not reach the output, as in the
    benchmark.
    """

    def __init__(self, operations: Sequence[str], channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleDict(
            {
                error_location(*edge): make_operation(name, channels)
                for edge, name in zip(EDGES, operations, strict=True)
                if name != NONE
            }
        )

    def forward(self, x: Tensor, drop: float) -> Tensor:
        """(N, C, H, W) to the same shape; `drop` is the probability that a path is dropped."""
        states = [x]
        for target in range(1, LAST + 1):
            terms = []
            for source, state in enumerate(states):
                if error_location(target, source) in self.edges:
                    module = self.edges[error_location(target, source)]
                    term = module(state)
                    if drop > 0 and not isinstance(module, nn.Identity):
                        term = drop_path(term, drop)
                    terms.append(term)
            states.append(sum(terms[1:], start=terms[0]) if terms else torch.zeros_like(x))
        return states[LAST]


class NasBench201Network(Network):
    """Stem, three stages of equal cells with residual blocks between them, global average pooling, classifier."""

    static_graph = True

    def __init__(self, layout: NetworkLayout, operations: Sequence[str]) -> None:
        super().__init__()
        self.skeleton = Skeleton(layout, nn.BatchNorm2d)
        self.stages = nn.ModuleList(
            nn.ModuleList(Cell(operations, stage.channels) for _ in range(layout.cells)) for stage in layout.stages
        )

    def outputs(self, images: Tensor) -> Outputs:
        """Logits, and as taps the outputs of the three stages."""
        return self.skeleton.run(images, self._run_stage, self.dropout)

    def _run_stage(self, number: int, x: Tensor) -> Tensor:
        drop = self.drop_path if self.training else 0.0
        for cell in cast("nn.ModuleList", self.stages[number]):
            x = cell(x, drop)
        return x
