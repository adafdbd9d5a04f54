"""Architectures that a search has rated well and that keep a budget, as candidates of a tournament."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

from nasplug.runs.context import RunContext
from nasplug.runs.decision import group_by_block, read_ratings
from nasplug.runs.retrain_size import retrain_models
from nasplug.values import Budget, Genotype, Rated
from nasplug.values.cost import COUNTED

MOST = 10_000
"""Combinations of rated paths that are looked at; a random sample if there are more."""


def best_rated(context: RunContext, budget: Budget) -> Iterator[Genotype]:
    """Combinations of one rated path through each block, from the best sum of ratings on; none if none was rated.

    Only those that keep the limits on params and MACs at the size of the retraining, at which paths are rated: what is
    scaled from there by a large factor is another network than the one that was rated.
    """
    limits = {name: limit for name, limit in budget.items() if name in COUNTED}
    model, _ = retrain_models(context)
    scored = [(sum(each.rating for each in paths), paths) for paths in _combine(context)]
    scored.sort(key=lambda pair: pair[0])
    seen = set[Genotype]()
    for _, paths in scored:
        genotype = Genotype.join(each.path for each in paths)
        if genotype not in seen and model.is_within(genotype, limits):
            yield genotype
        seen.add(genotype)


def _combine(context: RunContext) -> Iterator[tuple[Rated, ...]]:
    ordered = group_by_block(read_ratings(context.folder))
    if not ordered:
        return
    if math.prod(map(len, ordered)) <= MOST:
        yield from product(*ordered)
        return
    generator = context.random("rated candidates")
    for _ in range(MOST):
        yield tuple(map(generator.choice, ordered))
