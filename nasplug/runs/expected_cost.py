"""The resource term of a run's search: which limits alpha pays for, and what the result says about it."""

from __future__ import annotations

from collections.abc import Mapping

from nasplug.engine.resource_term import ResourceTerm
from nasplug.errors import InputError
from nasplug.runs.context import RunContext
from nasplug.runs.selection import retrain_models

EXACT = 0.9995
"""Share of the variance of costs from which on the expected cost is not called an estimate."""


def make_resource_term(context: RunContext) -> ResourceTerm | None:
    """The resource term that the recipe asks for with `budget.weight`; None without a weight.

    Costs are those of networks at the size of the retraining. Of several budgets the tightest limit of each measure
    counts: one supernet has one alpha. Raises InputError where alpha is not learnt, or nothing additive is limited.
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
    model, _ = retrain_models(context)
    return ResourceTerm.fit(budget.weight, tightest, composition.space, model, context.random("resource term"))


def describe_estimates(r_squared: Mapping[str, float]) -> list[str]:
    """A sentence for each measure whose expected cost, which alpha paid for, is not exact."""
    return [
        f"The expected {name}, for which the search paid by budget.weight, is an estimate: a sum over candidates "
        f"explains {share:.1%} of the variance of the {name} of random architectures."
        for name, share in r_squared.items()
        if share < EXACT
    ]
