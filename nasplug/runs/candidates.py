"""Who enters a tournament: what the search left, mutations of it, and as many random architectures at equal cost."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from itertools import chain
from typing import cast

import attrs

from nasplug.compose import resize_space
from nasplug.errors import InputError
from nasplug.parts.random_walk import mutate_towards
from nasplug.runs.baselines import plan_random
from nasplug.runs.bracket import Bracket, Candidate
from nasplug.runs.context import RunContext
from nasplug.runs.halving import plan_rungs
from nasplug.runs.measuring import plan_within, with_measures_of
from nasplug.runs.rated_candidates import best_rated
from nasplug.runs.search_trainer import load_supernet
from nasplug.runs.selection import plan_found
from nasplug.runs.shared_weights import has_weights
from nasplug.runs.signals import ShouldStop
from nasplug.runs.training import Stopped
from nasplug.store.networks import PlannedNetwork
from nasplug.values import Budget, Genotype, Progress

MUTATIONS = 100
"""Mutations tried, at most, on the way from an architecture to one that is not in the tournament yet."""
TRIES = 5
"""Mutated architectures per candidate wanted, at most; small spaces and tight budgets do not have as many."""


def refuse_tournament(context: RunContext) -> None:
    """Raises InputError if the recipe asks for a tournament that this run cannot hold."""
    options = context.recipe.select
    if not options.candidates:
        return
    if len(context.splits.validation) == 0:
        raise InputError(
            f"A tournament (select.candidates={options.candidates}) chooses by validation error, and this run holds "
            f"out no validation images; set data.validation=0.1, or select.candidates=0."
        )
    if options.share_weights and not context.composition.optimizer.trains:
        raise InputError(
            f"Candidates of a tournament are to start from weights of the supernet (select.share_weights=true), but "
            f"the optimizer '{context.recipe.parts['optimizer'].name}' trains none; set select.share_weights=false, or "
            f"take another optimizer."
        )
    if context.recipe.run.table:
        raise InputError(
            f"A tournament (select.candidates={options.candidates}) trains its candidates, and --table looks networks "
            f"up instead of training them; leave --table out, or set select.candidates=0."
        )


def plan_brackets(
    context: RunContext, found: Sequence[Genotype], should_stop: ShouldStop
) -> Generator[Progress, None, list[Bracket]]:
    """For each budget a bracket of candidates of the search, then `select.random` brackets of as many random ones.

    `found` is in the order of the search. Candidates are measured by what the budget limits only, since most of them
    will not be retrained. Raises Stopped if `should_stop` says so, and InputError if there can be no tournament, or no
    architecture found keeps a budget.
    """
    refuse_tournament(context)
    brackets: list[Bracket] = []
    found, count = list(dict.fromkeys(found)), 0
    for budget in context.recipe.budget.points or ({},):
        drawn, pools = set(found), list[list[Candidate]]()
        limited = with_measures_of(context, budget)
        for number in range(1 + context.recipe.select.random):
            entering = (
                _search_candidates(limited, found, budget)
                if number == 0
                else _random_candidates(limited, pools[0], number - 1, drawn)
            )
            pools.append([])
            for candidate in entering:
                pools[-1].append(candidate)
                count += 1
                yield Progress("candidates", count, 0, "candidates of the tournament measured")
                if should_stop():
                    raise Stopped
        brackets += _make_brackets(context, pools, budget)
    return brackets


def _make_brackets(context: RunContext, pools: Sequence[Sequence[Candidate]], budget: Budget) -> Iterator[Bracket]:
    """Brackets of equal numbers: as many candidates as the smallest pool has, but not fewer than are to be found."""
    options, folds, epochs = context.recipe.select, context.recipe.data.folds, context.recipe.retrain.epochs
    count = max(min(map(len, pools)), options.networks)
    supernet = load_supernet(context) if options.share_weights else None
    for role, pool in zip(("found", *["random"] * options.random), pools, strict=True):
        candidates = tuple(
            attrs.evolve(each, shares_weights=supernet is not None and has_weights(context, supernet, each.plan))
            for each in pool[:count]
        )
        rungs = plan_rungs(len(candidates), options.networks, epochs, options.rung)
        yield Bracket(role, budget, candidates, rungs, folds, options.by)


def _search_candidates(context: RunContext, found: Sequence[Genotype], budget: Budget) -> Iterator[Candidate]:
    """What the search left, spread by size, what it rated best within the budget, then mutations of both.

    Where it has rated paths, half of the candidates are of the first kind and half of the second, as far as there are
    as many.
    """
    wanted = context.recipe.select.candidates
    rated = best_rated(context, budget)
    first = next(rated, None)
    entered: list[PlannedNetwork] = []
    for plan in plan_found(context, found, budget, wanted if first is None else -(-wanted // 2)):
        entered.append(plan)
        yield Candidate(plan, "search")
    taken = {plan.genotype for plan in entered}
    for genotype in () if first is None else chain([first], rated):
        if len(entered) == wanted:
            return
        rated_plan = None if genotype in taken else _plan_like(context, entered[-1], genotype)
        if rated_plan is not None:
            entered.append(rated_plan)
            yield Candidate(rated_plan, "rating")
    yield from _mutations(context, found, entered, wanted - len(entered))


def _mutations(
    context: RunContext, found: Sequence[Genotype], parents: Sequence[PlannedNetwork], missing: int
) -> Iterator[Candidate]:
    """Mutations of the candidates there are, one step each, none of which the search has left."""
    generator = context.random("candidates")
    taken = {*found, *(cast("Genotype", parent.genotype) for parent in parents)}
    for attempt in range(TRIES * missing):
        if missing == 0:
            return
        parent = parents[attempt % len(parents)]
        genotype = mutate_towards(
            context.composition.space,
            cast("Genotype", parent.genotype),  # only reference networks have none
            lambda _: 0.0,
            generator,
            mutations=MUTATIONS,
            tolerance=0.0,
            excluded=taken,
        )
        if genotype in taken:  # the walk met no other one
            continue
        taken.add(genotype)
        plan = _plan_like(context, parent, genotype)
        if plan is not None:
            missing -= 1
            yield Candidate(plan, "mutation")


def _plan_like(context: RunContext, parent: PlannedNetwork, genotype: Genotype) -> PlannedNetwork | None:
    """The plan of a genotype as large as the budget allows, or at the size of `parent` where networks keep theirs.

    None if it does not keep the budget.
    """
    return plan_within(context, resize_space(context.composition.space, parent.size), genotype, parent.budget)


def _random_candidates(
    context: RunContext, matched: Sequence[Candidate], number: int, taken: set[Genotype]
) -> Iterator[Candidate]:
    """For each candidate of the search a random one at its cost; none of `taken`, to which it is added.

    A random one may be what a mutation is, too: a baseline draws from all that the search has not left.
    """
    for candidate in matched:
        plan = plan_random(context, candidate.plan, number, taken)
        if plan is not None:
            yield Candidate(attrs.evolve(plan, matched_to=None), "random")
