"""Plans of networks, with their costs measured on the built network."""

from __future__ import annotations

from typing import Any

import attrs

from nasplug.parts import SearchSpace
from nasplug.runs.context import RunContext
from nasplug.runs.retrain_size import retrain_models, scales
from nasplug.runs.scaling import GenotypeSizes, MeasuredNetwork, SizedNetwork, fit, measure_network, size_genotype
from nasplug.store.networks import PlannedNetwork, build_network
from nasplug.values import Budget, Genotype, is_within


def plan_at_size(
    context: RunContext,
    role: str,
    genotype: Genotype | None,
    network: SizedNetwork | MeasuredNetwork,
    budget: Budget,
    **others: Any,
) -> PlannedNetwork:
    """The plan of a network at its size, measured by every measure of the run that it has not been measured by yet.

    `others` are further fields of the plan. Costs that were summed over layers and then measured stay as estimates.
    """
    sized, known = (network.sized, network.measurements) if isinstance(network, MeasuredNetwork) else (network, {})
    measures = context.composition.costs
    left = {name: measure for name, measure in measures.items() if name not in known}
    measurements = {**known, **(measure_network(sized, left, context.shape).measurements if left else {})}
    network = MeasuredNetwork(sized, measurements)
    return PlannedNetwork(
        role=role,
        genotype=genotype,
        size=sized.size,
        costs=network.costs,
        estimates={name: sized.costs[name] for name in sized.estimated},
        measurements=network.details,
        budget=budget,
        **others,
    )


def measure_plan(context: RunContext, plan: PlannedNetwork) -> PlannedNetwork:
    """The plan with what it costs by the other measures of the run, too, measured on the built network."""
    left = {name: measure for name, measure in context.composition.costs.items() if name not in plan.costs}
    if not left:
        return plan
    space = context.composition.space
    sized = SizedNetwork(plan.size, plan.costs, lambda: build_network(context.plugins, space, plan, context.shape))
    network = measure_network(sized, left, context.shape)
    return attrs.evolve(plan, costs=network.costs, measurements={**plan.measurements, **network.details})


def with_measures_of(context: RunContext, budget: Budget) -> RunContext:
    """The run, if it had only the cost measures of this budget."""
    measures = {name: measure for name, measure in context.composition.costs.items() if name in budget}
    return attrs.evolve(context, composition=attrs.evolve(context.composition, costs=measures))


def plan_within(context: RunContext, space: SearchSpace, genotype: Genotype, budget: Budget) -> PlannedNetwork | None:
    """The plan of a found architecture as large as the budget allows, or at the size of `space` where that is kept.

    None if the network, as it is measured, does not keep the budget.
    """
    network = _size_within(context, space, genotype, budget)
    plan = None if network is None else plan_at_size(context, "found", genotype, network, budget)
    return plan if plan is not None and is_within(plan.costs, budget) else None


def _size_within(
    context: RunContext, space: SearchSpace, genotype: Genotype, budget: Budget
) -> SizedNetwork | MeasuredNetwork | None:
    if scales(context, budget):
        base, _ = retrain_models(context)
        return fit(GenotypeSizes(base, genotype), budget, context.composition.costs, context.shape)
    model = context.cost_model(space)
    return size_genotype(model, genotype, budget) if model.is_within(genotype, budget) else None
