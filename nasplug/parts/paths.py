"""The paths through a block of a search space: all of them, or a sample where there are too many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random

import attrs

from nasplug.values import Genotype

PATIENCE = 100
"""Samples drawn per genotype asked for, after which there are taken to be no further distinct ones."""


@attrs.frozen
class Paths:
    """The paths through one block, as genotypes that hold the places of that block alone."""

    count: int
    """The number of different paths."""
    enumerate: Callable[[], Iterable[Genotype]]
    """Gives every path once, in an order in which neighbours have as many first layers as possible in common.

    Rating shares the features of common first layers, so this order saves computation."""
    sample: Callable[[Random], Genotype]
    """Gives one path at random; all random numbers come from the generator passed in."""

    def select(self, limit: int, generator: Random) -> Iterator[Genotype]:
        """All paths if there are at most `limit`, otherwise up to `limit` distinct ones at random."""
        if self.count <= limit:
            yield from self.enumerate()
        else:
            yield from sample_distinct(self.sample, limit, generator)


def sample_distinct(sample: Callable[[Random], Genotype], count: int, generator: Random) -> Iterator[Genotype]:
    """Up to `count` distinct samples; fewer if `PATIENCE * count` calls of `sample` give no more."""
    drawn = set[Genotype]()
    for _ in range(PATIENCE * count):
        genotype = sample(generator)
        if genotype not in drawn:
            drawn.add(genotype)
            yield genotype
        if len(drawn) == count:
            return
