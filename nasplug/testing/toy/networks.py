"""The networks of the toy space: cells side by side, each of which reads one plane of the images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasplug.parts import Block, Choices, Layer, Network, Outputs, Supernet
from nasplug.supernets import Norm, drop_path
from nasplug.values import ImageShape, MapShape

SKIP, POOL, CONVOLUTION, POINT = "skip", "pool", "convolution", "point"
OPERATIONS = (SKIP, POOL, CONVOLUTION, POINT)
KERNELS = {CONVOLUTION: 3, POINT: 1}


def operation(name: str, channels: int, norm: Callable[[int], nn.Module]) -> nn.Module:
    """One candidate: from (N, C, H, W) to the same shape."""
    if name in KERNELS:
        kernel = KERNELS[name]
        return nn.Sequential(nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False), norm(channels))
    return nn.AvgPool2d(3, 1, 1) if name == POOL else nn.Identity()


class Frame(nn.Module):
    """What networks and supernets share: a lift of each plane to channels before the cells, a head after them."""

    def __init__(self, shape: ImageShape, channels: int, cells: int) -> None:
        super().__init__()
        self.planes, self.channels = shape.channels, channels
        self.lifts = nn.ModuleList(nn.Conv2d(1, channels, 1) for _ in range(cells))
        self.classify = nn.Linear(cells * channels, shape.classes)

    def lift(self, images: Tensor) -> Tensor:
        """Maps (N, cells * C, H, W) of images."""
        planes = images.split(1, 1)
        return torch.cat([lift(planes[cell % self.planes]) for cell, lift in enumerate(self.lifts)], 1)

    def through(self, maps: Tensor, cell: int, compute: Callable[[Tensor], Tensor]) -> Tensor:
        """The maps with those of one cell replaced by what it computes of them."""
        groups = list(maps.split(self.channels, 1))
        groups[cell] = compute(groups[cell])
        return torch.cat(groups, 1)

    def head(self, maps: Tensor) -> Tensor:
        """Logits of the mean of what is positive."""
        logits: Tensor = self.classify(F.relu(maps).mean((2, 3)))
        return logits


class ToyNetwork(Network):
    """The network of one architecture: an operation for each cell."""

    def __init__(self, picks: Sequence[str], shape: ImageShape, channels: int) -> None:
        super().__init__()
        self.frame = Frame(shape, channels, len(picks))
        self.cells = nn.ModuleList(operation(name, channels, nn.BatchNorm2d) for name in picks)

    def outputs(self, images: Tensor) -> Outputs:
        """Logits, and as taps the maps after each cell."""
        maps, taps = self.frame.lift(images), []
        for number, cell in enumerate(self.cells):
            maps = self.frame.through(maps, number, partial(self._cell, cell))
            taps.append(maps)
        return Outputs(self.frame.head(F.dropout(maps, self.dropout, self.training)), tuple(taps))

    def _cell(self, cell: nn.Module, x: Tensor) -> Tensor:
        y: Tensor = cell(x)
        return drop_path(y, self.drop_path) if self.training and self.drop_path > 0 else y


class Mixture(nn.Module):
    """All candidates of one cell."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.candidates = nn.ModuleDict({name: operation(name, channels, Norm) for name in OPERATIONS})

    def forward(self, x: Tensor, weights: Tensor, alive: Sequence[int]) -> Tensor:
        """The weighted sum of those that count; zeros if none does."""
        terms = [weights[column].to(x.dtype) * self.candidates[OPERATIONS[column]](x) for column in alive]
        return torch.stack(terms).sum(0) if terms else torch.zeros_like(x)


class ToySupernet(Supernet):
    """All architectures at once. Each cell is a block."""

    static_graph = True

    def __init__(self, choices: Choices, shape: ImageShape, channels: int) -> None:
        super().__init__()
        self.choices = choices
        self.frame = Frame(shape, channels, len(choices))
        self.cells = nn.ModuleList(Mixture(channels) for _ in choices)
        self._maps = MapShape(len(choices) * channels, shape.size)

    def outputs(self, images: Tensor) -> Outputs:
        """Logits, and as taps the maps after each cell."""
        maps, taps = self.frame.lift(images), []
        for number in range(len(self.cells)):
            maps = self._cell(number, maps)
            taps.append(maps)
        return Outputs(self.frame.head(maps), tuple(taps))

    def prune(self) -> None:
        """Removes the candidates that are deleted."""
        self.choices.refresh()
        for row, cell in zip(self.choices.kept.tolist(), self.cells, strict=True):
            candidates = cast("Mixture", cell).candidates
            for name, kept in zip(OPERATIONS, row, strict=True):
                if not kept and name in candidates:
                    del candidates[name]

    def blocks(self) -> Sequence[Block]:
        """A block for each cell; the first reads images."""
        return [
            Block(
                inputs=(self._maps,) if number else (),
                output=self._maps,
                enter=(lambda maps: maps[0]) if number else (lambda maps: self.frame.lift(maps[0])),
                layers=(Layer(rows=(number,), module=cell, compute=partial(self._cell, number)),),
                leave=lambda maps: maps,
                modules=(cell,) if number else (self.frame.lifts, cell),
            )
            for number, cell in enumerate(self.cells)
        ]

    def _cell(self, number: int, maps: Tensor) -> Tensor:
        weights, alive = self.choices.weights()[number], self.choices.computed_columns[number]
        return self.frame.through(maps, number, lambda x: self.cells[number](x, weights, alive))
