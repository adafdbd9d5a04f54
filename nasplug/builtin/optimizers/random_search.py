"""Random search: the baseline that a search has to beat (Li & Talwalkar, Random Search and Reproducibility, 2019)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from random import Random

import attrs

from nasplug.errors import InputError
from nasplug.parts import ArchitectureOptimizer, SearchState, option
from nasplug.parts.paths import PATIENCE, sample_distinct
from nasplug.parts.random_walk import mutate_towards
from nasplug.values import Budget, Found, Genotype, Rated, StepInfo, Update, share_of

MUTATIONS = 2000
"""Mutations of a walk into a budget, at most."""
WALKS = 3
"""Walks in a row that end nowhere new, after which there are taken to be no further architectures within a budget."""


@attrs.define
class RandomSearch(ArchitectureOptimizer):
    """Trains no supernet: distinct random architectures go straight to retraining.

    Under a budget they are uniform samples of the space that are within it. Where these are too rare, the rest are the
    ends of random walks into the budget, which favour no candidate but end soon after they have entered it.
    """

    learns_alpha = False
    trains = False

    samples: int = option(4, "architectures to sample, within each budget if there are several", at_least=1)

    def updates(self, now: StepInfo) -> Sequence[Update]:
        """Updates nothing: there is no supernet to train."""
        return ()

    def decide(self, search_state: SearchState) -> Iterator[Found | Rated]:
        """Up to `samples` distinct samples within each budget, a function of the seed; fewer if there are no more.

        Raises InputError if no architecture within a budget is found.
        """
        generator, drawn = Random(search_state.seed), set[Genotype]()
        if not search_state.budgets:
            for genotype in sample_distinct(search_state.space.random, self.samples, generator):
                yield Found(genotype=genotype, step=0, reason="random")
        for budget in search_state.budgets:
            for genotype in _sample_within(search_state, budget, self.samples, generator, drawn):
                drawn.add(genotype)
                yield Found(genotype=genotype, step=0, reason="random")


def _sample_within(
    search_state: SearchState, budget: Budget, count: int, generator: Random, drawn: set[Genotype]
) -> Iterator[Genotype]:
    """Up to `count` architectures within a budget that are not in `drawn`, to which the caller adds each of them."""
    space, found = search_state.space, 0
    for _ in range(PATIENCE * count):
        genotype = space.random(generator)
        if genotype not in drawn and search_state.cost_model.is_within(genotype, budget):
            found += 1
            yield genotype
        if found == count:
            return
    failed = 0
    while found < count and failed < WALKS:
        genotype = _walk_into(search_state, budget, generator, drawn)
        if genotype not in drawn and search_state.cost_model.is_within(genotype, budget):
            found, failed = found + 1, 0
            yield genotype
        else:
            failed += 1
    if found == 0 and not any(search_state.cost_model.is_within(known, budget) for known in drawn):
        raise _nothing_within(search_state, budget, genotype)


def _walk_into(search_state: SearchState, budget: Budget, generator: Random, drawn: set[Genotype]) -> Genotype:
    """The end of a random walk towards a budget and, if possible, to an architecture that is not in `drawn`."""
    cost_model = search_state.cost_model
    quick = {name: limit for name, limit in budget.items() if cost_model.knows_paths(name)}
    slow = {name: limit for name, limit in budget.items() if name not in quick}

    def excess(genotype: Genotype) -> tuple[float, float]:
        """How far beyond the quick measures' limits, 1 if not at all; then the share of the others, which need it."""
        share = share_of(cost_model.costs(genotype, quick), quick)
        if share > 1:
            return share, math.inf
        return 1.0, share_of(cost_model.costs(genotype, slow), slow)

    return mutate_towards(
        search_state.space,
        search_state.space.random(generator),
        excess,
        generator,
        mutations=MUTATIONS,
        tolerance=(1.0, 1.0),
        excluded=drawn,
    )


def _nothing_within(search_state: SearchState, budget: Budget, nearest: Genotype) -> InputError:
    costs, describe = search_state.cost_model.costs(nearest, budget), search_state.cost_model.describe
    options = " ".join(f"--budget {name}=..." for name in budget)
    return InputError(
        f"No architecture of the space '{search_state.space.name}' was found that has at most {describe(budget)}: the "
        f"nearest has {describe({name: costs[name] for name in budget})}. Allow more with {options}"
    )
