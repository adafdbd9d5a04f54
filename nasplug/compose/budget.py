"""The section "budget" of a recipe: limits on costs, in the units of their measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from nasplug.compose.layers import BUDGET, OptionLayer
from nasplug.errors import InputError, quote
from nasplug.parts import ArchitectureOptimizer, SearchSpace
from nasplug.plugins import Plugins
from nasplug.values import Unit
from nasplug.values.cost import COUNTED
from nasplug.values.options import build
from nasplug.values.recipe import BudgetOptions, Recipe

SHORTHANDS: Mapping[str, str] = {"max_params": "params", "max_macs": "macs"}
"""Options of the section "select" that stand for limits of the budget, which also earlier versions had."""


def read_budget(plugins: Plugins, section: Mapping[str, Any]) -> BudgetOptions:
    """Limits by measure: a number, text such as "50k" or "2ms", or several of these in a list or separated by commas.

    Raises InputError for measures that no plugin registers, for what is no amount in the unit of a measure, and for
    measures with different numbers of limits.
    """
    options = dict(section)
    weight = {"weight": options.pop("weight")} if "weight" in options else {}
    limits = {
        name: tuple(_read_limit(name, unit_of(plugins, name), value) for value in _list_values(name, values))
        for name, values in options.items()
    }
    counts = {name: len(values) for name, values in limits.items() if len(values) > 1}
    if len(set(counts.values())) > 1:
        numbers = " and ".join(f"{count} of {name}" for name, count in counts.items())
        raise InputError(
            f"The budget has {numbers}; give every measure one limit, or as many as the others, which are taken one "
            f"after the other."
        )
    # `build` checks options that are fields; the limits are not.
    return attrs.evolve(build(BudgetOptions, weight, BUDGET), limits=limits)


def default_weight(plugins: Plugins, recipe: Recipe) -> float:
    """The weight of costs that the space of a recipe suggests, where its networks are scaled to what adds up."""
    space: type[SearchSpace] = plugins.resolve(plugins.find("space", recipe.parts["space"].name))
    optimizer: type[ArchitectureOptimizer] = plugins.resolve(plugins.find("optimizer", recipe.parts["optimizer"].name))
    scaled = recipe.select.scale and not recipe.run.table
    adds_up = any(
        name in COUNTED or (plugins.resolve(plugins.find("cost", name)).additive and space.lists_layers())
        for name in recipe.budget.limits
    )
    return space.cost_weight if scaled and adds_up and optimizer.learns_alpha else 0.0


def move_shorthands(layer: OptionLayer) -> OptionLayer:
    """The same options with `select.max_params` and `select.max_macs` as limits of the budget."""
    select = dict(layer.get("select", {}))
    moved = {SHORTHANDS[name]: select.pop(name) for name in SHORTHANDS if name in select}
    moved = {name: limit for name, limit in moved.items() if limit is not None}
    if len(select) == len(layer.get("select", {})):
        return layer
    return {**layer, "select": select, BUDGET: {**moved, **layer.get(BUDGET, {})}}


def unit_of(plugins: Plugins, name: str) -> Unit:
    """The unit of a cost measure; InputError if no plugin registers it."""
    unit: Unit = plugins.resolve(plugins.find("cost", name)).unit
    return unit


def _list_values(name: str, values: Any) -> list[Any]:
    listed = values.split(",") if isinstance(values, str) else values if isinstance(values, list | tuple) else [values]
    if not listed:
        raise InputError(f"budget.{name} has no limit; give one, or leave it out.")
    return list(listed)


def _read_limit(name: str, unit: Unit, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError(f"budget.{name} must be an amount, such as {unit.format(1e4)}, but it is {quote(value)}.")
    try:
        amount = unit.parse(value if isinstance(value, str) else repr(value))
    except InputError as error:
        raise InputError(f"budget.{name}: {error}") from error
    return int(amount) if unit.whole else amount
