"""The paths through a block of a search space: all of them, or a sample where there are too many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random

import attrs

from nasplug.values import Genotype

PATIENCE = 100
"""Draws per wanted genotype before there are taken to be no more."""


@attrs.frozen
class Paths:
    """The paths through one block, as genotypes that hold the places of that block alone."""

    count: int
    """How many there are."""
    every: Callable[[], Iterable[Genotype]]
    """All of them, in an order in which neighbours share as many first layers as possible."""
    sample: Callable[[Random], Genotype]
    """One at random."""

    def some(self, limit: int, generator: Random) -> Iterator[Genotype]:
        """All of them, or if there are more than `limit` so many distinct ones at random."""
        if self.count <= limit:
            yield from self.every()
        else:
            yield from distinct(self.sample, limit, generator)


def distinct(sample: Callable[[Random], Genotype], count: int, generator: Random) -> Iterator[Genotype]:
    """So many distinct draws; fewer if there seem to be no more."""
    drawn = set[Genotype]()
    for _ in range(PATIENCE * count):
        genotype = sample(generator)
        if genotype not in drawn:
            drawn.add(genotype)
            yield genotype
        if len(drawn) == count:
            return
