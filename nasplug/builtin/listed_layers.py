"""What spaces have in common where they list the layers of a network, for costs that are summed over them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from nasplug.parts import LayerSpec
from nasplug.values import MapShape


class SumOfCopies(nn.Module):
    """Its input added to itself, as a node adds the results of `count` operations."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        total = x
        for _ in range(self.count - 1):
            total = total + x
        return total


class ConcatOfCopies(nn.Module):
    """Copies of its input side by side, as a cell concatenates `count` nodes."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, count * C, H, W)."""
        return torch.cat([x] * self.count, 1)


class GlobalMean(nn.Module):
    """The mean of every channel."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C)."""
        return x.mean((2, 3))


def list_layer(key: str, maps: MapShape, build: Callable[[], nn.Module]) -> LayerSpec:
    """A layer that reads these maps."""
    return LayerSpec(key if maps.dims == 2 else f"{key}, {maps.dims}d", maps.tensor_shape, build)


def list_sum(count: int, maps: MapShape) -> list[LayerSpec]:
    """The sum of `count` maps, as one layer; of fewer than two there is none."""
    return [list_layer(f"sum of {count}", maps, partial(SumOfCopies, count))] if count > 1 else []


def list_concat(count: int, maps: MapShape) -> list[LayerSpec]:
    """The concatenation of `count` maps, as one layer; of fewer than two there is none."""
    return [list_layer(f"concat of {count}", maps, partial(ConcatOfCopies, count))] if count > 1 else []
