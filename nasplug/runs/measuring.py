"""Plans of networks, with their costs measured on the built network."""

from __future__ import annotations

from typing import Any

import attrs

from nasplug.runs.context import RunContext
from nasplug.runs.scaling import MeasuredNetwork, SizedNetwork, measure_network
from nasplug.store.networks import PlannedNetwork, build_network
from nasplug.values import Budget, Genotype


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
