"""Budgets that no network of a space keeps are refused before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from random import Random

from nasplug.errors import InputError
from nasplug.parts import CostModel, SearchSpace
from nasplug.parts.random_walk import mutate_towards
from nasplug.runs.context import RunContext
from nasplug.runs.retrain_size import has_widths, retrain_models, scales
from nasplug.runs.scaling import STEP, measure_network, size_genotype
from nasplug.values import Budget, Costs, Genotype, is_within, share_of
from nasplug.values.cost import COUNTED

MUTATIONS = 2000
"""Mutations on the way to the cheapest architecture."""


def refuse_impossible(context: RunContext) -> None:
    """Raises InputError if no architecture of the space seems to keep one of the budgets, so that a search is in vain.

    The architecture that is judged is the end of a walk towards few params and MACs, at the smallest size that
    networks may get.
    """
    for budget in context.recipe.budget.points:
        model = smallest_model(context, budget)
        genotype = find_cheapest(model, budget, context.random("limits"))
        costs = measure_genotype(context, model, genotype, budget)
        if is_within(costs, budget):
            continue
        fixed = scales(context, budget) or not has_widths(context)
        remedy = "" if fixed else " lower retrain.channels, or set select.scale=true;"
        raise InputError(
            f"No architecture of the space '{model.space.name}' has at most {model.describe(budget)}: the smallest "
            f"known has {model.describe(costs)} at {dict(model.space.size())}. Raise the budget;{remedy} "
            f"'nasplug run --dry-run' shows what networks of a space cost."
        )


def limits_of_search(context: RunContext) -> Sequence[Budget]:
    """The budgets that limit what a search decides on, at the size at which networks are retrained.

    Networks that are scaled afterwards may be of any size. They are limited in the search all the same, since they are
    rated at that size, but only by costs that are quick to know, and not where even the cheapest of them keeps a budget
    only by being scaled down.
    """
    limits = []
    model, _ = retrain_models(context)
    for budget in context.recipe.budget.points:
        if not scales(context, budget):
            limits.append(budget)
            continue
        quick = {name: limit for name, limit in budget.items() if model.knows_paths(name)}
        if not model.is_within(find_cheapest(model, budget, context.random("limits")), quick):
            return ()
        limits.append(quick)
    return limits


def smallest_model(context: RunContext, budget: Budget) -> CostModel:
    """Costs at the smallest size that networks get within a budget."""
    base, of_widths = retrain_models(context)
    if not scales(context, budget):
        start = base.space.random(context.random("limits"))
        return min([base, *of_widths], key=lambda model: model.costs(start, ()).params)
    return base.resized(smallest_space(base.space, context.random("limits")))


def smallest_space(space: SearchSpace, generator: Random) -> SearchSpace:
    """The space at its smallest width, and with one cell where its architectures can have one."""
    genotype = space.random(generator)
    for cells, channels in product((1, None), range(1, STEP)):
        try:
            smallest = space.scaled(channels=channels, cells=cells)
            smallest.check(genotype)
        except InputError:
            continue
        return smallest
    return space


def find_cheapest(model: CostModel, budget: Budget, generator: Random) -> Genotype:
    """The end of a walk that lowers the largest share of a limit on params or MACs; without one, the params."""
    limits = {name: limit for name, limit in budget.items() if name in COUNTED} or {"params": 1.0}
    return mutate_within(model, model.space.random(generator), limits, generator, MUTATIONS)


def mutate_within(model: CostModel, start: Genotype, limits: Budget, generator: Random, mutations: int) -> Genotype:
    """The end of a walk that lowers the largest share of limits on params or MACs, until all of them are kept."""
    return mutate_towards(
        model.space,
        start,
        lambda genotype: share_of(model.costs(genotype, ()), limits),
        generator,
        mutations=mutations,
        tolerance=1.0,
    )


def measure_genotype(context: RunContext, model: CostModel, genotype: Genotype, budget: Budget) -> Costs:
    """Params, MACs and what the budget limits, as measured on the built network."""
    sized = size_genotype(model, genotype, {})
    measures = {name: measure for name, measure in context.composition.costs.items() if name in budget}
    return measure_network(sized, measures, context.shape).costs
