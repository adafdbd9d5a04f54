"""Selects the networks to train: for each budget found architectures, random ones of equal cost, and references."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence

from nasplug.errors import InputError, command
from nasplug.runs.baselines import plan_random
from nasplug.runs.budget_check import measure_genotype, mutate_within, smallest_model
from nasplug.runs.context import RunContext
from nasplug.runs.measuring import plan_at_size
from nasplug.runs.references import plan_references
from nasplug.runs.retrain_size import has_widths, retrain_models, scales
from nasplug.runs.scaling import GenotypeSizes, fit, size_genotype
from nasplug.runs.signals import ShouldStop
from nasplug.runs.training import Stopped
from nasplug.store.networks import PlannedNetwork
from nasplug.values import Budget, Genotype, Progress, is_within, share_of
from nasplug.values.cost import COUNTED

SHARES = (1.0, 0.8, 0.6, 0.4, 0.2)
"""The shares of a limit that an architecture is changed to cost, one after the other, until its network keeps it."""
MUTATIONS = 1000
"""Mutations on the way to each of them, at most."""


def select(
    context: RunContext, found: Sequence[Genotype], should_stop: ShouldStop
) -> Generator[Progress, None, list[PlannedNetwork]]:
    """The networks to train, each measured by all measures of the run; `found` is in the order of the search.

    Raises Stopped if `should_stop` says so, and InputError if no architecture found keeps a budget.
    """
    if not found:
        raise InputError(
            f"'{context.folder.events}' holds no architecture that the search found; restore it from a copy of the "
            f"run, or start a new run."
        )
    plans: dict[str, PlannedNetwork] = {}
    for budget in context.recipe.budget.points or ({},):
        for plan in _plan_networks(context, list(dict.fromkeys(found)), budget):
            plans.setdefault(plan.id, plan)
            yield Progress("select", len(plans), 0, "networks selected and measured")
            if should_stop():
                raise Stopped
    return list(plans.values())


def _plan_networks(context: RunContext, found: Sequence[Genotype], budget: Budget) -> Iterator[PlannedNetwork]:
    """The networks of one budget: found ones, then the random ones of each, then references."""
    chosen = []
    for plan in plan_found(context, found, budget, context.recipe.select.networks):
        chosen.append(plan)
        yield plan
    taken = {plan.genotype for plan in chosen if plan.genotype is not None}
    for plan in chosen:
        for number in range(context.recipe.select.random):
            matched = plan_random(context, plan, number, taken)  # adds it to `taken`
            if matched is not None:
                yield matched
    yield from plan_references(context, chosen, budget)


def plan_found(context: RunContext, found: Sequence[Genotype], budget: Budget, count: int) -> Iterator[PlannedNetwork]:
    """At most `count` architectures of the search, scaled to the budget or at the size of the retraining.

    They are spread by size, or the first in the order of a selector that puts the best first. Where all cost too much
    even at their smallest, it is the smallest one, changed until it keeps the budget. Raises InputError if none keeps
    it and networks keep their sizes.
    """
    empty = True
    for plan in (_scale_found if scales(context, budget) else _keep_sizes)(context, found, budget, count):
        empty = False
        yield plan
    if not empty:
        return
    changed = _change_to_fit(context, found, budget) if scales(context, budget) else None
    if changed is None:
        raise _nothing_fits(context, found, budget)
    yield changed


def _scale_found(context: RunContext, found: Sequence[Genotype], budget: Budget, most: int) -> Iterator[PlannedNetwork]:
    """Architectures as large as the budget allows: the best, or those of spread sizes in the search, that fit."""
    base, _ = retrain_models(context)
    sizes = [base.costs(genotype, ()).params for genotype in found]
    count = 0
    for place in _order_of_choice(sizes, most, context.composition.selector.best_first):
        if count == most:
            return
        network = fit(GenotypeSizes(base, found[place]), budget, context.composition.costs, context.shape)
        if network is not None:
            count += 1
            yield plan_at_size(context, "found", found[place], network, budget)


def _keep_sizes(context: RunContext, found: Sequence[Genotype], budget: Budget, most: int) -> Iterator[PlannedNetwork]:
    """Architectures at the size of the retraining that keep the budget: the best, or with sizes that are spread."""
    base, of_widths = retrain_models(context)
    models = of_widths if len(found) == 1 and of_widths else [base]
    fitting = [(model, genotype) for model in models for genotype in found if model.is_within(genotype, budget)]
    sizes = [model.costs(genotype, ()).params for model, genotype in fitting]
    # Of a single architecture there may be several widths.
    best_first = context.composition.selector.best_first and len(found) > 1
    count = 0
    # Costs by which `fitting` was chosen may be estimates; what is measured on the network counts.
    for place in _order_of_choice(sizes, most, best_first):
        if count == most:
            return
        model, genotype = fitting[place]
        plan = plan_at_size(context, "found", genotype, size_genotype(model, genotype, budget), budget)
        if is_within(plan.costs, budget):
            count += 1
            yield plan


def _order_of_choice(sizes: Sequence[int], most: int, best_first: bool) -> list[int]:
    """All places in the order in which they are tried: as they come, or those of spread sizes and then the smallest."""
    if best_first:
        return list(range(len(sizes)))
    spread = spread_by_size(sizes, most)
    return [*spread, *sorted(set(range(len(sizes))) - set(spread), key=sizes.__getitem__)]


def _change_to_fit(context: RunContext, found: Sequence[Genotype], budget: Budget) -> PlannedNetwork | None:
    """The smallest architecture, mutated until it costs as little as the budget says; None if it does not get there.

    Mutations lower what can be counted. Where the budget limits other costs, they go on until it is kept by these, too.
    """
    model, (base, _) = smallest_model(context, budget), retrain_models(context)
    genotype = min(found, key=lambda each: model.costs(each, ()).params)
    limits = {name: limit for name, limit in budget.items() if name in COUNTED}
    limits = limits or {"params": float(model.costs(genotype, ()).params)}
    generator = context.random("changes")
    for share in SHARES:
        wanted = {name: share * limit for name, limit in limits.items()}
        genotype = mutate_within(model, genotype, wanted, generator, MUTATIONS)
        if share_of(model.costs(genotype, ()), limits) > 1:
            return None
        network = fit(GenotypeSizes(base, genotype), budget, context.composition.costs, context.shape)
        if network is not None:
            return plan_at_size(context, "found", genotype, network, budget, changed=True)
    return None


def _nothing_fits(context: RunContext, found: Sequence[Genotype], budget: Budget) -> InputError:
    model = smallest_model(context, budget)
    smallest = min(found, key=lambda genotype: model.costs(genotype, ()).params)
    least = measure_genotype(context, model, smallest, budget)
    way = "Raise the limit"
    if not scales(context, budget) and has_widths(context):
        way += ", lower retrain.channels, or let networks be scaled (select.scale=true)"
    # A retraining that is refused is removed again, so nothing can be done with its folder.
    again = "--budget NAME=LIMIT"
    if not context.folder.unfinished.exists():
        again = command("retrain", context.folder.path, "--budget", "NAME=LIMIT")
    return InputError(
        f"No architecture that the search found has at most {model.describe(budget)}; the smallest has "
        f"{model.describe(least)} at {dict(model.space.size())}. {way}: {again}."
    )


def spread_by_size(sizes: Sequence[int], count: int) -> list[int]:
    """The places of `count` sizes that are evenly spaced in their logarithm, from the smallest to the largest.

    Of equally near ones it takes the later.
    """
    if not sizes:
        return []
    left = list(range(len(sizes)))
    low, high = math.log(min(sizes)), math.log(max(sizes))
    chosen: list[int] = []
    for number in range(min(count, len(sizes))):
        target = low + (high - low) * (number / (count - 1) if count > 1 else 0.5)
        distances = {place: abs(math.log(sizes[place]) - target) for place in left}
        nearest = max(place for place in left if distances[place] == min(distances.values()))
        chosen.append(nearest)
        left.remove(nearest)
    return chosen
