"""Architectures that a search has rated well and that keep a budget, as candidates of a tournament."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import islice

from nasplug.runs.context import RunContext
from nasplug.runs.decision import group_by_block, read_ratings
from nasplug.runs.retrain_size import retrain_models
from nasplug.values import Budget, Genotype, Rated
from nasplug.values.cost import COUNTED

MOST = 10_000
"""Combinations of rated paths that are looked at: so many of the best ones, then so many random ones."""


def best_rated(context: RunContext, budget: Budget) -> Iterator[Genotype]:
    """Combinations of one rated path through each block, from the best sum of ratings on; none if none was rated.

    Only those that keep the limits on params and MACs at the size of the retraining, at which paths are rated: what is
    scaled from there by a large factor is another network than the one that was rated. Of more than `MOST`
    combinations, random ones follow where hardly any of the best keeps the limits.
    """
    limits = {name: limit for name, limit in budget.items() if name in COUNTED}
    model, _ = retrain_models(context)
    seen = set[Genotype]()
    for paths in _combine(context):
        genotype = Genotype.join(each.path for each in paths)
        if genotype not in seen and model.is_within(genotype, limits):
            yield genotype
        seen.add(genotype)


def _combine(context: RunContext) -> Iterator[Sequence[Rated]]:
    """Combinations that are looked at, in the order of the sums of their ratings."""
    blocks = group_by_block(read_ratings(context.folder))
    if not blocks:
        return
    yield from islice(in_order(blocks), MOST)
    if math.prod(map(len, blocks)) <= MOST:
        return
    generator = context.random("rated candidates")
    drawn = [tuple(map(generator.choice, blocks)) for _ in range(MOST)]
    yield from sorted(drawn, key=_rating)


def in_order(blocks: Sequence[Sequence[Rated]]) -> Iterator[tuple[Rated, ...]]:
    """Every combination of one path of each block, by the sum of their ratings, the smallest first.

    Each combination is found from one before it by the next path of one block, so that only as many are looked at as
    are asked for, and the neighbours of these.
    """
    ranked = [sorted(paths, key=lambda each: each.rating) for paths in blocks]

    def at(places: tuple[int, ...]) -> tuple[Rated, ...]:
        return tuple(paths[place] for paths, place in zip(ranked, places, strict=True))

    first = (0,) * len(ranked)
    open_places, reached = [(_rating(at(first)), first)], {first}
    while open_places:
        _, places = heappop(open_places)
        yield at(places)
        for block, place in enumerate(places):
            following = (*places[:block], place + 1, *places[block + 1 :])
            if place + 1 < len(ranked[block]) and following not in reached:
                reached.add(following)
                heappush(open_places, (_rating(at(following)), following))


def _rating(paths: Sequence[Rated]) -> float:
    """The summed rating; lower is better."""
    return sum(each.rating for each in paths)
