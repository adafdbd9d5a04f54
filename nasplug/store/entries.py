"""Values of the entries of `result.json`, checked one by one as they are read."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import Any

from nasplug.errors import InputError, quote

IDENTIFIER = re.compile("[0-9A-Za-z][0-9A-Za-z_-]{0,63}")
"""The form of the ids of networks, which are parts of file names."""


class DamagedError(InputError):
    """What is wrong with a result, as the end of a sentence about its file."""


def require(entry: Mapping[str, Any], needed: Collection[str]) -> None:
    """Raises DamagedError unless the entry has everything that is needed."""
    missing = [name for name in needed if name not in entry]
    if missing:
        raise DamagedError(f"is not the result of a run: it lacks {', '.join(map(repr, missing))}")


def whole(entry: Mapping[str, Any], name: str) -> int:
    """A count."""
    value = entry[name]
    if not isinstance(value, int) or isinstance(value, bool):
        raise DamagedError(f"is damaged: {quote(name)} must be a whole number, but it is {quote(value)}")
    if value < 0:
        raise DamagedError(f"is damaged: {quote(name)} must not be negative, but it is {quote(value)}")
    return value


def number(entry: Mapping[str, Any], name: str, least: float = -math.inf, most: float = math.inf) -> float | None:
    """A figure of an entry; None for one that was not measured."""
    value = entry.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DamagedError(f"is damaged: {quote(name)} must be a number or null, but it is {quote(value)}")
    if not (math.isfinite(value) and least <= value <= most):
        bounds = [f"from {least:g}"] * (least > -math.inf) + [f"to {most:g}"] * (most < math.inf)
        words = " ".join(["a finite number", *bounds])
        raise DamagedError(f"is damaged: {quote(name)} must be {words}, but it is {quote(value)}")
    return float(value)


def amounts(entry: Mapping[str, Any], name: str) -> dict[str, float]:
    """Amounts by cost measure; empty where there are none."""
    amounts = entry.get(name) or {}
    if not isinstance(amounts, Mapping):
        raise DamagedError(f"is damaged: {quote(name)} must be an object, but it is {quote(amounts)}")
    known = {measure: number(amounts, measure, 0) for measure in amounts}
    return {measure: amount for measure, amount in known.items() if amount is not None}


def identifier(entry: Mapping[str, Any], name: str) -> str:
    """The id of a network."""
    value = entry[name]
    if not isinstance(value, str) or not IDENTIFIER.fullmatch(value):
        raise DamagedError(
            f"is damaged: {quote(name)} must be up to 64 letters, digits, '-' and '_', but it is {quote(value)}"
        )
    return value


def word(entry: Mapping[str, Any], name: str) -> str:
    """Text of one line."""
    value = entry[name]
    if not isinstance(value, str) or not value.isprintable():
        raise DamagedError(f"is damaged: {quote(name)} must be a word, but it is {quote(value)}")
    return value


def inner_path(entry: Mapping[str, Any], name: str) -> None:
    """Refuses a path that leads out of the run folder, on whatever system it was written."""
    value = entry.get(name)
    if value is None:
        return
    if not isinstance(value, str) or not value.isprintable() or set(value) & set(":\\"):
        raise DamagedError(f"is damaged: {quote(name)} must be a path in the run folder, but it is {quote(value)}")
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise DamagedError(f"is damaged: {quote(name)} must be a path in the run folder, but it is {quote(value)}")
