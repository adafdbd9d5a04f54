"""The layers of stand-alone networks: operations, stems and auxiliary heads (DARTS, cnn/operations.py and model.py).

Supernets have the same stems, with norms of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin.darts.genotype import DILATED, FACTORISED, POOLS, SEPARABLE, SKIP
from nasplug.builtin.layers import Convolution, Depthwise, Pointwise, pool_arguments, trains_on_cpu
from nasplug.supernets.convolution import drop_unread_edge, is_symbolic
from nasplug.supernets.normalise import NormFactory, train_norms
from nasplug.supernets.reduction import reduce_maps
from nasplug.supernets.separable import SeparableStage, Source, separable_of_batch
from nasplug.values import MapShape, sides

AUXILIARY_SIZES = {"cifar": 8, "imagenet": 7}
"""For each stem the size of the map that a published auxiliary head reads."""
AUXILIARY_HEADS = ("darts", "nadd")
"""Published auxiliary heads: that of DARTS, and that of SNPS and DNAD."""


class ReluConvNorm(nn.Sequential):
    """ReLU, 1x1 convolution, batch norm: brings an input of a cell to the channels of its nodes."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.ReLU(), Pointwise(in_channels, out_channels), nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H, W)."""
        relu, convolution, norm = self
        x = convolution(relu(x))
        return train_norms([cast("nn.BatchNorm2d", norm)], x) if trains_on_cpu(self, x) else norm(x)


class FactorizedReduce(nn.Module):
    """Halves the map by two 1x1 convolutions of stride 2, the second on the input shifted by one pixel.

    Maps of odd size are padded with zeros at their end, so that both halves agree; even ones are read as in DARTS.
    Signals (`dims` 1) are halved and shifted along their one row.
    """

    def __init__(self, in_channels: int, out_channels: int, dims: int = 2) -> None:
        super().__init__()
        self.dims = dims
        self.even = nn.Conv2d(in_channels, out_channels // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(in_channels, out_channels - out_channels // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, out_channels, ceil(H / 2), ceil(W / 2))."""
        x = F.relu(x)
        if trains_on_cpu(self, x):
            return compute_reductions([self], [(x, 1)])
        even = drop_unread_edge(x, self.even.weight)
        normed: Tensor = self.norm(torch.cat((self.even(even), self.odd(shift_by_one(x, self.dims))), 1))
        return normed


def compute_reductions(layers: Sequence[FactorizedReduce], sources: Sequence[Source]) -> Tensor:
    """The results of several reductions in training on a CPU, side by side: (N, G * out_channels, H', W').

    `sources` are states after their ReLU, in the order of the layers.
    """
    x = reduce_maps(sources, [(layer.even.weight, layer.odd.weight) for layer in layers])
    return train_norms([layer.norm for layer in layers], x)


def shift_by_one(x: Tensor, dims: int = 2) -> Tensor:
    """The map without its first row and column, padded so that stride 2 gives as many pixels as before the shift.

    That of a signal (`dims` 1), of one row, is shifted along it.
    """
    height, width = x.shape[2:]
    rows = 0 if dims == 1 else height % 2
    if is_symbolic(x) or rows or width % 2:  # torch.fx records no conditions on sizes
        x = F.pad(x, (0, width % 2, 0, rows))
    return x[:, :, :, 1:] if dims == 1 else x[:, :, 1:, 1:]


def make_separable(channels: int, kernel: int, stride: int, dilation: int = 1, dims: int = 2) -> nn.Sequential:
    """ReLU, depthwise convolution, 1x1 convolution, batch norm."""
    return nn.Sequential(
        nn.ReLU(),
        Depthwise(channels, kernel, stride, dilation, dims),
        Pointwise(channels, channels),
        nn.BatchNorm2d(channels),
    )


def compute_separable(modules: Sequence[nn.Sequential], sources: Sequence[Source]) -> Tensor:
    """The results of several separable operations of one kind in training on a CPU, side by side, (N, G * C, H', W').

    `modules` are those of `make_operation`, once or twice a `make_separable`, in the order of the sources, which are
    states after their ReLU.
    """
    stages = [
        [module] if isinstance(module[0], nn.ReLU) else cast("list[nn.Sequential]", [*module]) for module in modules
    ]
    first = cast("Depthwise", stages[0][0][1])
    joined = [_join(repeats) for repeats in zip(*stages, strict=True)]
    return separable_of_batch(sources, joined, first.stride[0], first.dilation[0])


def _join(modules: Sequence[nn.Sequential]) -> SeparableStage:
    """The same stage of several operations, side by side."""
    _, depthwise, pointwise, norms = zip(*modules, strict=True)
    kernels = ([layer.weight for layer in layers] for layers in (depthwise, pointwise))
    affine = [norm.weight for norm in norms], [norm.bias for norm in norms]
    spatial, mixing, scale, shift = (each[0] if len(each) == 1 else torch.cat(each) for each in (*kernels, *affine))
    return SeparableStage(spatial, mixing, norms, scale, shift)


def make_operation(name: str, channels: int, stride: int, dims: int = 2) -> nn.Module:
    """An operation of a stand-alone network: affine batch norms, pools without any."""
    if name == SKIP:
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, dims)
    if name in POOLS:
        if name == "max_pool_3x3":
            return nn.MaxPool2d(**pool_arguments(stride, dims))
        return nn.AvgPool2d(**pool_arguments(stride, dims), count_include_pad=False)
    if name in DILATED:
        return make_separable(channels, DILATED[name], stride, dilation=2, dims=dims)
    if name == FACTORISED:
        return nn.Sequential(nn.ReLU(), *make_factorised(channels, stride, dims), nn.BatchNorm2d(channels))
    kernel = SEPARABLE[name]
    return nn.Sequential(
        make_separable(channels, kernel, stride, dims=dims), make_separable(channels, kernel, 1, dims=dims)
    )


def make_factorised(channels: int, stride: int, dims: int) -> tuple[nn.Conv2d, nn.Conv2d]:
    """1x7 convolution, 7x1 convolution; of a signal, which has one row, the second is a 1x1 convolution."""
    rows = 7 if dims == 2 else 1
    return (
        nn.Conv2d(channels, channels, (1, 7), stride=(1, stride), padding=(0, 3), bias=False),
        nn.Conv2d(channels, channels, (rows, 1), stride=(stride, 1), padding=(rows // 2, 0), bias=False),
    )


class CifarStem(nn.Sequential):
    """3x3 convolution and batch norm; both inputs of the first cell are its output."""

    def __init__(self, in_channels: int, channels: int, norm: NormFactory, dims: int = 2) -> None:
        super().__init__(Convolution(in_channels, channels, 3, dims=dims), norm(channels))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, in_channels, H, W) to the two inputs of the first cell, which are the same map."""
        features = images
        for layer in self:
            if isinstance(layer, nn.BatchNorm2d) and trains_on_cpu(self, features):
                features = train_norms([layer], features)
            else:
                features = layer(features)
        return features, features


class ImagenetStem(nn.Module):
    """Two convolutions of stride 2, and a third: the first cell reads maps at a quarter and at an eighth."""

    def __init__(self, in_channels: int, channels: int, norm: NormFactory, dims: int = 2) -> None:
        super().__init__()
        half = max(1, channels // 2)
        self.quarter = nn.Sequential(
            Convolution(in_channels, half, 3, 2, dims=dims),
            norm(half),
            nn.ReLU(),
            Convolution(half, channels, 3, 2, dims=dims),
            norm(channels),
        )
        self.eighth = nn.Sequential(
            nn.ReLU(),
            Convolution(channels, channels, 3, 2, dims=dims),
            norm(channels),
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, in_channels, H, W) to the inputs of the first cell, of a quarter and an eighth of their size."""
        quarter = self.quarter(images)
        return quarter, self.eighth(quarter)


def make_stem(
    stem: str, in_channels: int, channels: int, norm: NormFactory = nn.BatchNorm2d, dims: int = 2
) -> nn.Module:
    """The stem of this name with `channels` output channels and affine batch norms."""
    return (CifarStem if stem == "cifar" else ImagenetStem)(in_channels, channels, norm, dims)


def make_auxiliary_head(kind: str, stem: str, maps: MapShape, classes: int) -> nn.Module:
    """An auxiliary head: a second classifier in the middle of the network, for training only.

    From features of the shape `maps` to logits (N, classes). The published heads fit one size of map for each
    stem, which they pool to 2x2: DARTS's with stride 3 on CIFAR and 2 on ImageNet, that of SNPS and DNAD ("nadd", from
    their released code) with stride 2 on both. Maps of any other size are pooled to 2x2 adaptively, and
    those of signals to 2 samples. DARTS's ImageNet head has no second batch norm.
    """
    pooled = sides(2, maps.dims)
    pool: nn.Module = nn.AdaptiveAvgPool2d(pooled)
    if maps.dims == 2 and maps.size == AUXILIARY_SIZES[stem]:
        stride = 3 if (kind, stem) == ("darts", "cifar") else 2
        pool = nn.AvgPool2d(5, stride=stride, count_include_pad=False)
    second = [] if (kind, stem) == ("darts", "imagenet") else [nn.BatchNorm2d(768)]
    return nn.Sequential(
        nn.ReLU(),
        pool,
        nn.Conv2d(maps.channels, 128, 1, bias=False),
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.Conv2d(128, 768, pooled, bias=False),
        *second,
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(768, classes),
    )
