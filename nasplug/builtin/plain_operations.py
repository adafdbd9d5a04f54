"""Operations as in the published code of DARTS (cnn/operations.py): one module each, built from torch's own layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasplug.parts import Choices, Supernet
from nasplug.supernets.convolution import drop_unread_edge
from nasplug.values import sides


class Zero(nn.Module):
    """The operation `none`: zeros of the output size of an operation with this stride."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """From (N, C, H, W) to zeros (N, C, H / stride, W / stride)."""
        return x[:, :, :: self.stride, :: self.stride].mul(0.0)


class FactorizedReduce(nn.Module):
    """Halves the map by two 1x1 convolutions of stride 2, the second shifted by one pixel; odd maps are padded.

    A map of one row is shifted along it alone.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.even = nn.Conv2d(in_channels, out_channels // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(in_channels, out_channels - out_channels // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """From (N, C, H, W) to (N, out_channels, H / 2, W / 2)."""
        x = F.relu(x)
        height, width = x.shape[2:]
        if height % 2 or width % 2:
            x = F.pad(x, (0, width % 2, 0, height % 2 if height > 1 else 0))
        even = drop_unread_edge(x, self.even.weight)
        odd = x[:, :, 1 if height > 1 else 0 :, 1:]
        normalised: Tensor = self.norm(torch.cat([self.even(even), self.odd(odd)], 1))
        return normalised


def relu_conv_norm(in_channels: int, out_channels: int, kernel: int = 1) -> nn.Sequential:
    """ReLU, convolution, batch norm."""
    convolution = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), convolution, nn.BatchNorm2d(out_channels, affine=False))


def separable(channels: int, kernel: int, stride: int, dilation: int = 1, dims: int = 2) -> nn.Sequential:
    """ReLU, depthwise convolution, 1x1 convolution, batch norm."""
    shape = sides(kernel, dims)
    padding = (dilation * (shape[0] // 2), dilation * (shape[1] // 2))
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, shape, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=False),
    )


def pool(module: nn.Module, channels: int) -> nn.Sequential:
    """A pooling layer and the batch norm that follows it in a supernet of DARTS."""
    return nn.Sequential(module, nn.BatchNorm2d(channels, affine=False))


class WeightedCandidates:
    """The candidates that count now and their weights as scalars; constructed once per forward pass."""

    def __init__(self, choices: Choices) -> None:
        self._weights = [row.unbind() for row in choices.weights().unbind()]
        self._active_columns = choices.active_columns

    def sum(self, row: int, columns: Sequence[int], operations: Sequence[nn.Module], x: Tensor) -> Tensor | None:
        """The weighted sum of the candidates of `row` in `columns` that count; None if none of them does."""
        terms = [
            self._weights[row][column] * operation(x)
            for column, operation in zip(columns, operations, strict=True)
            if column in self._active_columns[row]
        ]
        return sum(terms[1:], start=terms[0]) if terms else None


def find_layers(module: nn.Module) -> list[nn.Module]:
    """The convolutions, linear layers and affine batch norms of a module, in the order of `module.modules()`."""
    return [layer for layer in module.modules() if isinstance(getattr(layer, "weight", None), Tensor)]


class PlainSupernet(nn.Module, ABC):
    """A supernet as published: a module for every operation on every edge, maps in contiguous layout.

    It shares its choices, alpha included, with a fast supernet, and computes the same from images (N, C, H, W) to
    logits (N, classes) with weights of its own.
    """

    choices: Choices

    @abstractmethod
    def pair_layers(self, net: Any) -> Iterator[tuple[nn.Module, nn.Module]]:
        """Pairs every layer with weights with the layer of the fast supernet `net` whose weights it copies."""

    def copy_weights(self, net: Supernet) -> Self:
        """Copies weights, device and dtype of the fast supernet `net`; returns itself."""
        like = next(parameter for parameter in net.parameters() if parameter is not net.choices.alpha)
        self.to(like.device, like.dtype)
        with torch.no_grad():
            for plain, fast in self.pair_layers(net):
                for name in ("weight", "bias"):
                    value = getattr(fast, name, None)
                    if value is not None:
                        getattr(plain, name).copy_(value)
        return self
