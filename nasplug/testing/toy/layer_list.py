"""The layers of the toy space's networks one by one, for costs that are summed over them."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from nasplug.parts import LayerSpec
from nasplug.testing.toy.networks import operation
from nasplug.values import ImageShape


class Cell(nn.Module):
    """A cell among others: its operation on its own channels, the other maps as they are."""

    def __init__(self, name: str, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.operation = operation(name, channels, nn.BatchNorm2d)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, cells * channels, H, W) to the same shape."""
        first, *others = maps.split(self.channels, 1)
        return torch.cat([self.operation(first), *others], 1)


class Join(nn.Module):
    """The lifted planes of all cells side by side."""

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.cells = cells

    def forward(self, plane: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, cells * channels, H, W)."""
        return torch.cat([plane] * self.cells, 1)


def block_layers(block: int, pick: str, cells: int, channels: int, shape: ImageShape) -> list[LayerSpec]:
    """The cell of this number, with this operation, and its lift; the first has the join, the last the head."""
    size, width = shape.size, cells * channels
    layers = [
        LayerSpec(f"toy lift to {channels}", (1, size, size), partial(nn.Conv2d, 1, channels, 1)),
        LayerSpec(f"toy {pick} of {channels}", (width, size, size), partial(Cell, pick, channels)),
    ]
    if block == 0:
        layers.append(LayerSpec(f"toy join of {cells}", (channels, size, size), partial(Join, cells)))
    if block == cells - 1:
        layers.append(LayerSpec(f"toy head to {shape.classes}", (width, size, size), lambda: _make_head(width, shape)))
    return layers


def _make_head(width: int, shape: ImageShape) -> nn.Module:
    return nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, shape.classes))
