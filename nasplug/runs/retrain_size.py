"""The size of the networks that a run trains: that of the retraining, or what a budget allows."""

from __future__ import annotations

from nasplug.parts import CostModel
from nasplug.runs.context import RunContext
from nasplug.values import Budget


def scales(context: RunContext, budget: Budget) -> bool:
    """Whether networks get the size that a budget allows."""
    return bool(budget) and has_widths(context) and context.recipe.select.scale and not context.recipe.run.table


def has_widths(context: RunContext) -> bool:
    """Whether the networks of the space can be wider or narrower; else a budget chooses among architectures."""
    return "channels" in context.composition.space.size()


def retrain_models(context: RunContext) -> tuple[CostModel, list[CostModel]]:
    """Costs at the size of networks where several architectures are found, and at each size where there is one."""
    options = context.recipe.retrain
    base = context.composition.space.scaled(channels=options.channels, cells=options.cells)
    model = context.cost_model(base)
    return model, [model.resized(base.scaled(channels=width)) for width in options.widths]
