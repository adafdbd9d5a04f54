"""The peak of activations: small graphs by hand, random ones by brute force."""

from __future__ import annotations

from itertools import accumulate
from random import Random

import pytest
import torch
from torch import Tensor, nn

from nasplug.builtin.costs.memory import Memory

SHAPE = (2, 4, 4)
MAP = 2 * 4 * 4 * 4
"""Bytes of one map."""


class Program(nn.Module):
    """Maps of one size, each the pooled sum of earlier ones: pooling never writes over its input."""

    def __init__(self, reads: list[list[int]]) -> None:
        super().__init__()
        self.reads = reads

    def forward(self, images: Tensor) -> Tensor:
        maps = [images]
        for sources in self.reads:
            maps.append(nn.functional.max_pool2d(torch.cat([maps[source] for source in sources], 3), (1, len(sources))))
        return maps[-1]


def peak_by_simulation(reads: list[list[int]]) -> int:
    """Frees a map as soon as no later operation reads it; a concatenation is a map of its own, as long as its parts."""
    last = {number: number for number in range(len(reads) + 1)}
    for step, sources in enumerate(reads):
        for source in sources:
            last[source] = step
    last[len(reads)] = len(reads)
    alive, peak = {0: MAP}, MAP
    for step, sources in enumerate(reads):
        joined = len(sources) * MAP if len(sources) > 1 else 0
        peak = max(peak, sum(alive.values()) + joined)
        alive = {number: size for number, size in alive.items() if not joined or last[number] > step}
        peak = max(peak, sum(alive.values()) + joined + MAP)
        alive = {number: size for number, size in alive.items() if last[number] > step}
        alive[step + 1] = MAP
    return peak


def test_random_graphs_need_what_a_simulation_of_their_execution_needs() -> None:
    generator = Random(0)
    for _ in range(12):
        reads = [
            sorted(generator.sample(range(step + 1), generator.randint(1, min(3, step + 1))))
            for step in range(generator.randint(1, 7))
        ]
        needed = {len(reads)}
        for step in reversed(range(len(reads))):
            needed |= set(reads[step]) if step + 1 in needed else set()
        kept = [step for step in range(len(reads)) if step + 1 in needed]  # the rest is dead code, which is removed
        place = {0: 0} | {step + 1: number + 1 for number, step in enumerate(kept)}
        live = [[place[source] for source in reads[step]] for step in kept]

        assert Memory().cost(Program(reads).eval(), SHAPE) == peak_by_simulation(live), reads


def test_an_elementwise_operation_writes_over_an_input_that_nothing_else_reads() -> None:
    class Chain(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.relu(torch.sigmoid(torch.relu(images)))

    class Forked(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.relu(images) + images

    assert Memory().cost(Chain().eval(), SHAPE) == MAP
    assert Memory().cost(Forked().eval(), SHAPE) == 2 * MAP


def test_reshapes_copy_nothing_and_slices_do() -> None:
    class Flat(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return nn.functional.max_pool2d(images.flatten(2).unsqueeze(1), 1)

    class Half(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return nn.functional.max_pool2d(images[:, :, 2:], 1)

    assert Memory().cost(Flat().eval(), SHAPE) == 2 * MAP
    assert Memory().cost(Half().eval(), SHAPE) == MAP + MAP // 2


@pytest.mark.parametrize("sizes", [[4, 4], [3, 5], [2, 2, 2, 2], [1, 7]])
def test_the_parts_of_a_split_are_all_there_beside_what_is_split(sizes: list[int]) -> None:
    """As with slices, of which the last is computed where all others are there: twice the map."""

    class Split(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.stack([part.tanh().amax((1, 2, 3)) for part in images.split(sizes, 1)])

    class Slices(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            ends = list(accumulate(sizes))
            parts = [images[:, end - size : end] for size, end in zip(sizes, ends, strict=True)]
            return torch.stack([part.tanh().amax((1, 2, 3)) for part in parts])

    costs = [Memory().cost(net.eval(), (8, 4, 4)) for net in (Split(), Slices())]
    assert costs == [2 * 4 * MAP] * 2


def test_halves_that_are_added_need_most_where_they_are_split() -> None:
    class Halves(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            first, second = images.chunk(2, 1)
            return first.tanh() + second.tanh()

    assert Memory().cost(Halves().eval(), (8, 4, 4)) == 16 * 16 * 4


def test_dropout_costs_nothing_when_a_network_is_used() -> None:
    plain = nn.Sequential(nn.MaxPool2d(1), nn.MaxPool2d(1)).eval()
    dropping = nn.Sequential(nn.MaxPool2d(1), nn.Dropout(0.5), nn.MaxPool2d(1)).eval()

    assert Memory().cost(dropping, SHAPE) == Memory().cost(plain, SHAPE) == 2 * MAP


def test_a_map_in_8_bits_takes_a_byte_a_value() -> None:
    generator = Random(5)
    for _ in range(3):
        program = Program([[0], [0, 1], [generator.randint(0, 2)]]).eval()
        assert 4 * Memory(precision="int8").cost(program, SHAPE) == Memory().cost(program, SHAPE)
