"""Plans of networks, with their costs measured on the built network."""

from __future__ import annotations

from typing import Any

from nasplug.runs.context import RunContext
from nasplug.runs.scaling import MeasuredNetwork, SizedNetwork, measure_network
from nasplug.store.networks import PlannedNetwork
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
        measurements={name: each.details for name, each in measurements.items() if each.details},
        budget=budget,
        **others,
    )
