"""Reference networks of a run: hand-designed ones, as large as what they are compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from nasplug.parts import CostMeasure, Network, ReferenceNetwork
from nasplug.plugins.program_objects import build_part
from nasplug.runs.context import RunContext
from nasplug.runs.measuring import plan_at_size
from nasplug.runs.scaling import SizedNetwork, fit, largest_number
from nasplug.store.networks import PlannedNetwork
from nasplug.values import Budget, Costs, ImageShape
from nasplug.values.cost import COUNTED


def references_of(context: RunContext) -> dict[str, ReferenceNetwork]:
    """The reference networks of a run by name; none where networks are looked up in a table."""
    return {} if context.recipe.run.table else dict(context.composition.references)


def plan_references(context: RunContext, chosen: Sequence[PlannedNetwork], budget: Budget) -> Iterator[PlannedNetwork]:
    """The reference networks at the largest width within a budget; without one, as many params as `chosen` has at most.

    A reference network that has no size within the budget is left out.
    """
    limits = budget or {"params": max(plan.costs.params for plan in chosen)}
    measures = {**count_measures(context), **context.composition.costs}
    for name, reference in references_of(context).items():
        network = fit(ReferenceSizes(reference, context.shape, measures), limits, measures, context.shape)
        if network is not None:
            yield plan_at_size(context, "reference", None, network, budget, reference=name)


def count_measures(context: RunContext) -> dict[str, CostMeasure]:
    """The measures that spaces count by themselves, for networks that belong to no space."""
    return {name: build_part(context.plugins, "cost", name, {}) for name in COUNTED}


@attrs.frozen(eq=False)
class ReferenceSizes:
    """A reference network at all its widths; what it costs is measured on the built network."""

    reference: ReferenceNetwork
    shape: ImageShape
    measures: Mapping[str, CostMeasure]
    """By name; those that every network has on record are among them."""
    _known: dict[tuple[str, float], float] = attrs.field(factory=dict, init=False)

    def largest_within(self, budget: Budget) -> SizedNetwork | None:
        """See `nasplug.runs.scaling.Sizes`."""
        widths = self.reference.widths()
        quick_first = sorted(budget, key=lambda name: (self.measures[name].measured, name not in COUNTED))

        def holds(number: int) -> bool:
            return all(self._cost(name, widths[number - 1]) <= budget[name] for name in quick_first)

        number = largest_number(holds, len(widths))
        if number == 0:
            return None
        width = widths[number - 1]
        reference = self.reference.scaled(width)
        costs = Costs({name: self._cost(name, width) for name in dict.fromkeys((*COUNTED, *budget))})
        return SizedNetwork(reference.size(), costs, lambda: reference.network(self.shape))

    def _cost(self, name: str, width: float) -> float:
        if (name, width) not in self._known:
            net: Network = self.reference.scaled(width).network(self.shape)
            image = self.shape.tensor_shape
            self._known[name, width] = self.measures[name].cost(net.eval(), image)
        return self._known[name, width]
