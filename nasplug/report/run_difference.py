"""In what two runs differ: their recipes, and what they have come to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from nasplug.store.network_result import NetworkResult
from nasplug.store.run_state import RunState
from nasplug.values import Unit
from nasplug.values.recipe import is_decisive

DERIVED = ("environment.digest", "environment.checksum")
"""Entries that follow from all others."""
VALIDATION, BALANCED, TEST = "validation error", "balanced validation error", "test error"
BEST = "best"


@attrs.frozen
class OptionDifference:
    """An option of which two recipes have different values."""

    name: str
    """As SECTION.OPTION."""
    values: tuple[Any, Any]
    """None: the recipe does not have it, or it is unset."""


@attrs.frozen
class FigureDifference:
    """A figure that differs of one network, or of the best of each run."""

    network: str
    """Its id, or BEST."""
    role: str
    figure: str
    values: tuple[float | str | None, float | str | None]
    """None: not measured, or the run has no such network."""
    unit: Unit | None = None
    """Of a cost; None: it is an error, a fraction, or a word."""


@attrs.frozen
class RunDifference:
    """What two runs differ in; empty where they are equal."""

    options: tuple[OptionDifference, ...]
    """Those that decide what is computed."""
    circumstances: tuple[OptionDifference, ...]
    """Where, by what and with which versions it was carried out."""
    figures: tuple[FigureDifference, ...]
    equal_networks: int
    """Networks that both have, with the same figures."""
    images: tuple[str, ...]
    """Which images differ, of "data", "train", "validation" and "test", where both have recorded them."""

    @property
    def is_empty(self) -> bool:
        """Whether recipes and results are the same; circumstances may differ."""
        return not (self.options or self.figures or self.images)


def find_difference(first: RunState, second: RunState) -> RunDifference:
    """Compares two runs, which must not be damaged. Errors and costs that differ in any digit are different."""
    options = _compare_recipes(first, second)
    figures, equal = _compare_networks(first, second)
    return RunDifference(
        options=tuple(each for each in options if _decides(each.name)),
        circumstances=tuple(each for each in options if not _decides(each.name)),
        figures=(*_compare_outcomes(first, second), *figures),
        equal_networks=equal,
        images=_compare_images(first, second),
    )


def _compare_recipes(first: RunState, second: RunState) -> list[OptionDifference]:
    one, other = _flatten(first.recipe), _flatten(second.recipe)
    names = [name for name in dict.fromkeys((*one, *other)) if name not in DERIVED]
    pairs = [OptionDifference(name, (one.get(name), other.get(name))) for name in names]
    return [pair for pair in pairs if pair.values[0] != pair.values[1]]


def _flatten(recipe: Mapping[str, Any]) -> dict[str, Any]:
    sections = {name: options for name, options in recipe.items() if isinstance(options, Mapping)}
    return {f"{section}.{name}": value for section, options in sections.items() for name, value in options.items()}


def _decides(name: str) -> bool:
    section, _, option = name.partition(".")
    return is_decisive(section, option)


def _compare_outcomes(first: RunState, second: RunState) -> list[FigureDifference]:
    """State and best network; the figures of best networks only if these are not the same one."""
    differences = []
    if first.state != second.state:
        differences.append(FigureDifference("", "", "state", (first.state, second.state)))
    bests = tuple(None if run.result is None else run.result.best for run in (first, second))
    if bests[0] != bests[1]:
        differences.append(FigureDifference(BEST, "found", "id", (bests[0], bests[1])))
        one, other = (None if run.result is None else run.result.network(run.result.best) for run in (first, second))
        differences += _compare_figures(BEST, one, other, _units(first, second))
    return differences


def _compare_networks(first: RunState, second: RunState) -> tuple[list[FigureDifference], int]:
    """The figures in which networks differ, by id; and how many networks are the same."""
    one, other = ({} if run.result is None else {net.id: net for net in run.result.networks} for run in (first, second))
    differences, equal, units = [], 0, _units(first, second)
    for name in dict.fromkeys((*one, *other)):
        found = _compare_figures(name, one.get(name), other.get(name), units)
        differences += found
        equal += not found
    return differences, equal


def _compare_figures(
    name: str, one: NetworkResult | None, other: NetworkResult | None, units: Mapping[str, Unit]
) -> list[FigureDifference]:
    known = one or other
    role = known.kind if known is not None else ""
    before, after = _figures_of(one), _figures_of(other)
    return [
        FigureDifference(name, role, figure, (before.get(figure), after.get(figure)), units.get(figure))
        for figure in dict.fromkeys((*before, *after))
        if before.get(figure) != after.get(figure)
    ]


def _figures_of(network: NetworkResult | None) -> dict[str, float | None]:
    if network is None:
        return {}
    errors = {VALIDATION: network.val_error, BALANCED: network.balanced_val_error, TEST: network.test_error}
    return {**network.costs, **errors}


def _units(*runs: RunState) -> dict[str, Unit]:
    return {name: unit for run in runs if run.result is not None for name, unit in run.result.units.items()}


def _compare_images(first: RunState, second: RunState) -> tuple[str, ...]:
    one, other = (_digests(run) for run in (first, second))
    return tuple(name for name in one if name in other and one[name] != other[name])


def _digests(run: RunState) -> Mapping[str, Any]:
    digests = None if run.result is None else run.result.entries.get("digests")
    return digests if isinstance(digests, Mapping) else {}
