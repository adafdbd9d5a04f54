"""What networks of a space cost: the range of every measure, from a walk to either end and a random sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from random import Random
from statistics import median

import attrs

from nasplug.parts import CostModel
from nasplug.parts.paths import sample_distinct
from nasplug.parts.random_walk import mutate_towards
from nasplug.values import Costs, Genotype

MUTATIONS = 1000
"""Mutations on the way to the smallest and to the largest architecture."""
SAMPLE = 9
"""Random architectures beside the smallest and the largest."""
MEASURED = 3
"""Those of them on which is measured what takes a whole network: a second each, for a network of many operations."""


@attrs.frozen
class CostRange:
    """The costs of the networks of a space by one measure, in its unit."""

    measure: str
    smallest: float
    median: float
    """Of a random sample."""
    largest: float


def find_cost_ranges(model: CostModel, generator: Random) -> Iterator[CostRange]:
    """The range of every measure, those first that are quick to know.

    The ends are the least and the most that are known: walks end at the architectures with the fewest and the most
    params and MACs, and what is measured is measured on these and on a sample.
    """
    space = model.space
    sample = list(sample_distinct(space.random, SAMPLE, generator))

    def walk(distance: Callable[[Costs], float]) -> Genotype:
        return mutate_towards(
            space,
            sample[0],
            lambda genotype: distance(model.costs(genotype, ())),
            generator,
            mutations=MUTATIONS,
        )

    ends = [
        walk(lambda costs: costs.params),
        walk(lambda costs: costs.macs),
        walk(lambda costs: -costs.params),
        walk(lambda costs: -costs.macs),
    ]
    for quick in (True, False):  # the slow ones of a genotype together, which are measured on one network
        names = [name for name in model.names if model.knows_paths(name) == quick]
        drawn = sample if quick else sample[:MEASURED]
        costs = [model.costs(genotype, names) for genotype in dict.fromkeys([*drawn, *ends])]
        for name in names:
            values = [each[name] for each in costs]
            yield CostRange(name, min(values), median(islice(values, len(drawn))), max(values))
