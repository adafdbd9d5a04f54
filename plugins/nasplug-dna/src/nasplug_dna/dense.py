"""The network that becomes the teacher where none is given: a large one of the space itself."""

from __future__ import annotations

from random import Random
from statistics import fmean

from nasplug.parts import SearchSpace
from nasplug.parts.random_walk import mutate_towards
from nasplug.values import Genotype, ImageShape

PATIENCE = 16
"""Mutations tried per place of the genotype."""
NOMINAL = ImageShape(channels=3, size=32, classes=10)
"""Any images will do to compare the parameters of two architectures."""


def dense_genotype(space: SearchSpace, candidates: int, generator: Random) -> Genotype:
    """A random architecture, mutated towards `candidates` picks per place, and among those towards many parameters."""

    def shortfall(genotype: Genotype) -> tuple[float, ...]:
        # On average, because deeper architectures of some spaces have more places.
        away = fmean(abs(len(picked) - candidates) for _, picked in genotype.picks)
        return away, -space.cost(genotype, NOMINAL).params

    start = space.random(generator)
    return mutate_towards(space, start, shortfall, generator, mutations=PATIENCE * len(start.places))
