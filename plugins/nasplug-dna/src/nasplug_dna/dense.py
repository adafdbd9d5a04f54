"""The architecture of a teacher that is trained first: a large one of the search space itself."""

from __future__ import annotations

from random import Random
from statistics import fmean

from nasplug.parts import SearchSpace
from nasplug.parts.random_walk import mutate_towards
from nasplug.values import Genotype, ImageShape

PATIENCE = 16
"""Mutations to try for each place of the genotype."""
NOMINAL = ImageShape(channels=3, size=32, classes=10)
"""Any image shape serves to compare the parameters of two architectures."""


def find_dense_genotype(space: SearchSpace, candidates: int, generator: Random) -> Genotype:
    """A random genotype, mutated towards `candidates` picks per place and, as a second criterion, many parameters."""

    def shortfall(genotype: Genotype) -> tuple[float, ...]:
        # On average, because deeper architectures of some spaces have more places.
        difference = fmean(abs(len(picked) - candidates) for _, picked in genotype.picks)
        return difference, -space.cost(genotype, NOMINAL).params

    start = space.random(generator)
    return mutate_towards(space, start, shortfall, generator, mutations=PATIENCE * len(start.places))
