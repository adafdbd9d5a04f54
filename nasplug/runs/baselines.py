"""What found networks are compared with: random networks of the same space, at equal cost."""

from __future__ import annotations

from collections.abc import Collection

from nasplug.compose import resize_space
from nasplug.parts.random_walk import mutate_towards
from nasplug.runs.context import RunContext
from nasplug.runs.measuring import plan_at_size
from nasplug.runs.retrain_size import retrain_models, scales
from nasplug.runs.scaling import GenotypeSizes, MeasuredNetwork, SizedNetwork, fit, size_genotype
from nasplug.store.networks import PlannedNetwork
from nasplug.values import Genotype, is_within, share_of

MUTATIONS = 2000
"""Mutations tried, at most, on the way to a random architecture of a given size."""
DRAWS = 20
"""Random architectures scaled to a budget, at most, until one takes as large a share of it as the found one."""


def plan_random(context: RunContext, plan: PlannedNetwork, number: int, taken: set[Genotype]) -> PlannedNetwork | None:
    """A random architecture at the cost of `plan`, none of `taken`, to which it is added.

    None if none was met that is within the budget of `plan`, as in a small space, all of which may be taken.
    """
    look = _draw_scaled if scales(context, plan.budget) else _walk_to_size
    found = look(context, plan, number, taken)
    if found is None:
        return None
    genotype, network = found
    if genotype in taken:  # the walk met no other one
        return None
    taken.add(genotype)
    matched = plan_at_size(context, "random", genotype, network, plan.budget, matched_to=plan.id)
    return matched if is_within(matched.costs, plan.budget) else None


def _walk_to_size(
    context: RunContext, plan: PlannedNetwork, number: int, taken: Collection[Genotype]
) -> tuple[Genotype, SizedNetwork] | None:
    """A random architecture of the size of `plan`, mutated until its params are within the tolerance of `plan`'s.

    If none is met on the way, the nearest is taken; the result records its params either way. Limits on costs that are
    slow to know play no part in the walk.
    """
    model = context.cost_model(resize_space(context.composition.space, plan.size))
    generator = context.random("baseline", plan.id, number)
    target = plan.costs.params
    quick = {name: limit for name, limit in plan.budget.items() if model.knows_paths(name)}

    def distance(genotype: Genotype) -> tuple[float, ...]:
        costs = model.costs(genotype, quick)
        return max(share_of(costs, quick) - 1, 0.0), abs(costs.params - target)

    genotype = mutate_towards(
        model.space,
        model.space.random(generator),
        distance,
        generator,
        mutations=MUTATIONS,
        tolerance=(0.0, context.recipe.select.tolerance * target),
        excluded=taken,
    )
    return genotype, size_genotype(model, genotype, plan.budget)


def _draw_scaled(
    context: RunContext, plan: PlannedNetwork, number: int, taken: Collection[Genotype]
) -> tuple[Genotype, MeasuredNetwork] | None:
    """A random architecture scaled to the budget of `plan`, of which it takes about the share that `plan` takes.

    The sizes of a space are steps, so not every architecture can take up the same share. They are drawn until one
    does, within the tolerance; else the nearest is taken.
    """
    model, _ = retrain_models(context)
    generator = context.random("baseline", plan.id, number)
    share = share_of(plan.costs, plan.budget)
    drawn = [model.space.random(generator) for _ in range(DRAWS)]
    candidates: list[tuple[float, GenotypeSizes]] = []
    for genotype in dict.fromkeys(genotype for genotype in drawn if genotype not in taken):
        sizes = GenotypeSizes(model, genotype)
        sized = sizes.largest_within(plan.budget)
        if sized is not None:
            gap = abs(share_of(sized.costs, plan.budget) - share)
            candidates.append((gap, sizes))
            if gap <= context.recipe.select.tolerance:
                break
    for _, sizes in sorted(candidates, key=lambda candidate: candidate[0]):  # of equal gaps the first drawn
        network = fit(sizes, plan.budget, context.composition.costs, context.shape)
        if network is not None:
            return sizes.genotype, network
    return None
