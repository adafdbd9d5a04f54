"""A supernet of three blocks whose later blocks read two maps each, and a wider network of the same space."""

from __future__ import annotations

from random import Random

import pytest
import torch

from nasplug.builtin.darts import Darts
from nasplug.parts import Batch, Network, Supernet
from nasplug.values import ImageShape

SHAPE = ImageShape(1, 8, 5)


@pytest.fixture
def space() -> Darts:
    return Darts(topology="per-cell", operations=("sep_conv_3x3", "skip_connect"), cells=3, nodes=2, channels=4)


@pytest.fixture
def net(space: Darts) -> Supernet:
    torch.manual_seed(0)
    return space.supernet(SHAPE).double()


@pytest.fixture
def teacher(space: Darts) -> Network:
    torch.manual_seed(1)
    wide = space.scaled(channels=6)
    return wide.network(wide.random(Random(0)), SHAPE).double()


@pytest.fixture
def batches() -> list[Batch]:
    generator = torch.Generator().manual_seed(2)
    labels = torch.tensor([0, 1, 2, 3])
    return [Batch(torch.randn(4, 1, 8, 8, generator=generator, dtype=torch.float64), labels) for _ in range(3)]
