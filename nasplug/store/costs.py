"""Costs in `result.json`: their units, and limits on them. No plugin is needed to read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nasplug.errors import InputError, choose_from, quote
from nasplug.formats.fields import FLAG, TEXT, Kind, check_fields
from nasplug.formats.limits import FormatError
from nasplug.values import Budget, Unit
from nasplug.values.cost import COUNTED

UNIT_FIELDS: Mapping[str, Kind] = {"symbol": TEXT, "prefix": TEXT, "whole": FLAG}


def cost_units(result: Mapping[str, Any]) -> dict[str, Unit]:
    """The units of all costs that networks of a run have on record, by measure; FormatError if an entry is damaged."""
    units = dict(COUNTED)
    for name, unit in result.get("units", {}).items():
        check_fields(unit, UNIT_FIELDS, {})
        try:
            units[name] = Unit(**{field: unit[field] for field in UNIT_FIELDS})
        except InputError as error:
            raise FormatError(f"the unit of {quote(name)}: {error}") from error
    return units


def read_limits(limits: Mapping[str, Any], units: Mapping[str, Unit], run: str) -> Budget:
    """Limits as numbers: each is given as a number in the unit of its measure, or as text such as "2ms".

    Raises InputError for a measure that has no unit here, and for what is no amount.
    """
    budget: dict[str, float] = {}
    for name, limit in limits.items():
        if name not in units:
            raise choose_from(f"cost on record in '{run}'", name, units)
        if isinstance(limit, bool) or not isinstance(limit, str | int | float):
            raise InputError(f"A limit is a number or text such as {units[name].format(1e4)}, but got {quote(limit)}.")
        try:
            budget[name] = units[name].parse(limit) if isinstance(limit, str) else float(limit)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
    return budget
