"""The resource term of a run's search: which limits alpha pays for, and what the result says about it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from nasplug.engine.resource_term import ResourceTerm
from nasplug.errors import InputError, quote, reason
from nasplug.runs.context import RunContext
from nasplug.runs.retrain_size import retrain_models, scales
from nasplug.store.run_folder import check_object, read_json, write_checked_json

REMEDY = "restore it from a copy of the run, or start a new run"
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
