"""The resource term of a run's search: which limits alpha pays for, and what the result says about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from nasplug.engine.resource_term import ResourceTerm
from nasplug.errors import InputError, quote, reason
from nasplug.parts import Choices, SearchSpace
from nasplug.runs.context import RunContext
from nasplug.runs.retrain_size import retrain_models, scales
from nasplug.store.run_folder import check_object, read_json, write_checked_json
from nasplug.values import Genotype
from nasplug.values.recipe import Recipe

REMEDY = "restore it from a copy of the run, or start a new run"
DECIDED = 0.8
"""Share of choices with their cheapest candidate from which on the cost is said to have decided."""
TIE = 0.01
"""A candidate is the cheapest, too, whose cost is above it by this share of the range within the choice."""
EXACT = 0.9995
"""Share of the variance of costs from which on the expected cost is not called an estimate."""


def make_resource_term(context: RunContext) -> ResourceTerm | None:
    """The resource term that the recipe asks for with `budget.weight`; None without a weight.

    Costs are those of networks at the size of the retraining. Of several budgets the tightest limit of each measure
    counts: one supernet has one alpha. What candidates cost is recorded in the run folder: measured again, latencies
    would differ, and a resumed search would go another way. Raises InputError where alpha is not learnt, or nothing
    additive is limited.
    """
    composition, budget = context.composition, context.recipe.budget
    if budget.weight == 0:
        return None
    if not composition.optimizer.learns_alpha:
        name = context.recipe.parts["optimizer"].name
        raise InputError(
            f"budget.weight adds expected costs to the loss of alpha, which the optimizer '{name}' does not learn; set "
            f"budget.weight=0, or take an optimizer that learns it, such as bilevel or one-level."
        )
    tightest = {name: min(limits) for name, limits in budget.limits.items()}
    scaled = all(scales(context, point) for point in budget.points)
    question = {"weight": budget.weight, "limits": tightest, "scaled": scaled}
    path = context.folder.phase("search") / "expected_costs.json"
    if path.is_file():
        record = read_json(path, REMEDY)
        check_object(record, path, REMEDY)
        # Runs that earlier versions have started divide by the limits, and go on doing so.
        if {"scaled": scaled, **record["question"]} == question:
            return _read_term(record, path)
    model, _ = retrain_models(context)
    generator = context.random("resource term")
    term = ResourceTerm.fit(budget.weight, tightest, composition.space, model, generator, scaled)
    facts = {"base": term.base, "coefficients": term.coefficients.tolist(), "r_squared": dict(term.r_squared)}
    write_checked_json(path, {"question": question, **facts})
    return term


def _read_term(record: Mapping[str, Any], path: Path) -> ResourceTerm:
    try:
        coefficients = torch.tensor(record["coefficients"], dtype=torch.float32)
        return ResourceTerm(base=float(record["base"]), coefficients=coefficients, r_squared=record["r_squared"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{quote(path)} is damaged ({reason(error)}); {REMEDY}.") from error


def describe_estimates(r_squared: Mapping[str, float]) -> list[str]:
    """A sentence for each measure whose expected cost, which alpha paid for, is not exact."""
    return [
        f"The expected {name}, for which the search paid by budget.weight, is an estimate: a sum over candidates "
        f"explains {share:.1%} of the variance of the {name} of random architectures."
        for name, share in r_squared.items()
        if share < EXACT
    ]


def describe_cheapest(
    recipe: Recipe, space: SearchSpace, choices: Choices, term: ResourceTerm, found: Sequence[Genotype]
) -> list[str]:
    """A sentence if the architectures that a search found have the cheapest candidates nearly everywhere.

    Then what alpha paid for costs has outweighed what it has learnt of the images.
    """
    valid = choices.valid_mask
    costs = term.coefficients.cpu()
    cheapest = costs.masked_fill(~valid, torch.inf).amin(1, keepdim=True)
    dearest = costs.masked_fill(~valid, -torch.inf).amax(1, keepdim=True)
    is_cheapest = valid & (costs <= cheapest + TIE * (dearest - cheapest))
    differing = (dearest > cheapest).squeeze(1)
    held = torch.stack([space.encode(genotype, choices).cpu() for genotype in found])[:, differing]
    if not held.any() or (share := float(is_cheapest[differing].expand_as(held)[held].double().mean())) < DECIDED:
        return []
    weight, epochs = recipe.budget.weight / 10, recipe.search.epochs * 2
    return [
        f"In {share:.0%} of the choices, the architectures found have the cheapest candidate: what alpha pays for "
        f"costs has outweighed what the search has learnt from the data. Try --set budget.weight={weight:g}, or --set "
        f"search.epochs={epochs}."
    ]
