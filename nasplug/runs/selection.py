"""Selects the networks to train: found architectures, and for each random ones of equal size."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nasplug.errors import InputError, command
from nasplug.parts import SearchSpace
from nasplug.parts.random_walk import mutate_towards
from nasplug.runs.context import RunContext
from nasplug.store.networks import PlannedNetwork, resize_space
from nasplug.values import Genotype

MUTATIONS = 2000
"""Mutations tried, at most, on the way to a random architecture of a given size."""


def select(context: RunContext, found: Sequence[Genotype]) -> list[PlannedNetwork]:
    """The networks to train: those chosen from `found` (in the order of the search), each with its random ones."""
    recipe = context.recipe
    if not found:
        raise InputError(
            f"'{context.folder.events}' holds no architecture that the search found; restore it from a copy of the "
            f"run, or start a new run."
        )
    base, of_widths = _retrain_spaces(context)
    distinct = list(dict.fromkeys(found))
    spaces = of_widths if len(distinct) == 1 and of_widths else [base]
    plans = [_plan_network(space, genotype, context) for space in spaces for genotype in distinct]
    chosen = _spread_by_size(_select_within_limits(plans, context), recipe.select.networks)
    taken = {plan.genotype for plan in chosen if plan.genotype is not None}
    matched = [
        match_random_network(context, plan, number, taken) for plan in chosen for number in range(recipe.select.random)
    ]
    return [*chosen, *matched]


def check_limits(context: RunContext) -> None:
    """Raises InputError if no architecture of the space seems to keep the limits, so that any search would be in vain.

    A walk towards few params and MACs looks for one that does.
    """
    limits = context.recipe.select
    bounds = {"params": limits.max_params, "MACs": limits.max_macs}
    asked = {name: bound for name, bound in bounds.items() if bound is not None}
    if not asked:
        return
    base, of_widths = _retrain_spaces(context)
    generator = context.random("limits")
    start = base.random(generator)
    space = min([base, *of_widths], key=lambda space: space.cost(start, context.shape).params)

    def excess(genotype: Genotype) -> float:
        cost = space.cost(genotype, context.shape)
        return max({"params": cost.params, "MACs": cost.macs}[name] / bound for name, bound in asked.items())

    least = mutate_towards(space, start, excess, generator, mutations=MUTATIONS, tolerance=1.0)
    if excess(least) > 1:
        cost = space.cost(least, context.shape)
        raise InputError(
            f"No architecture of the space '{space.name}' has at most "
            f"{' and '.join(f'{bound} {name}' for name, bound in asked.items())}: the smallest known has "
            f"{cost.params} params and {cost.macs} MACs at {dict(space.size())}. Raise the limit, or lower "
            f"retrain.channels."
        )


def _retrain_spaces(context: RunContext) -> tuple[SearchSpace, list[SearchSpace]]:
    """The space at the size of networks where several architectures are found, and at each size where there is one."""
    options = context.recipe.retrain
    base = context.composition.space.scaled(channels=options.channels, cells=options.cells)
    return base, [base.scaled(channels=width) for width in options.widths]


def _plan_network(space: SearchSpace, genotype: Genotype, context: RunContext) -> PlannedNetwork:
    return PlannedNetwork(role="found", genotype=genotype, size=space.size(), costs=space.cost(genotype, context.shape))


def _select_within_limits(plans: Sequence[PlannedNetwork], context: RunContext) -> list[PlannedNetwork]:
    limits = context.recipe.select
    fitting = [
        plan
        for plan in plans
        if plan.costs.params <= (limits.max_params or math.inf) and plan.costs.macs <= (limits.max_macs or math.inf)
    ]
    if not fitting:
        least = min(plans, key=lambda plan: plan.costs.params)
        raise InputError(
            f"No architecture that the search found has at most {limits.max_params or 'any number of'} params and "
            f"{limits.max_macs or 'any number of'} MACs; the smallest has {least.costs.params} params and "
            f"{least.costs.macs} MACs at {least.size}. Raise the limit, or lower retrain.channels: "
            f"{command('retrain', context.folder.path, '--set', 'retrain.channels=N')}."
        )
    return fitting


def _spread_by_size(plans: Sequence[PlannedNetwork], count: int) -> list[PlannedNetwork]:
    """`count` plans whose sizes are evenly spaced in log params, from the smallest to the largest.

    Of equally near ones it takes the later in the order of the search.
    """
    left = list(plans)
    low = math.log(min(plan.costs.params for plan in plans))
    high = math.log(max(plan.costs.params for plan in plans))
    chosen: list[PlannedNetwork] = []
    for number in range(min(count, len(plans))):
        target = low + (high - low) * (number / (count - 1) if count > 1 else 0.5)
        chosen.append(left.pop(_find_nearest(left, target)))
    return chosen


def _find_nearest(plans: Sequence[PlannedNetwork], target: float) -> int:
    distances = [abs(math.log(plan.costs.params) - target) for plan in plans]
    return max(index for index, distance in enumerate(distances) if distance == min(distances))


def match_random_network(
    context: RunContext, plan: PlannedNetwork, number: int, taken: set[Genotype]
) -> PlannedNetwork:
    """A random architecture within the tolerance of `plan`'s params: a random one, mutated towards that size.

    If none is met on the way, the nearest is taken; the result records its params either way.
    """
    space = resize_space(context.composition.space, plan.size)
    generator = context.random("baseline", plan.id, number)
    target = plan.costs.params
    genotype = mutate_towards(
        space,
        space.random(generator),
        lambda genotype: abs(space.cost(genotype, context.shape).params - target),
        generator,
        mutations=MUTATIONS,
        tolerance=context.recipe.select.tolerance * target,
        excluded=taken,
    )
    taken.add(genotype)
    cost = space.cost(genotype, context.shape)
    return PlannedNetwork(role="random", genotype=genotype, size=plan.size, costs=cost, matched_to=plan.id)
