"""JSON: the one reader."""

from __future__ import annotations

import json
from typing import Any

from nasplug.errors import quote
from nasplug.formats.limits import FormatError, check_value, parsing


def parse_json(text: str) -> Any:
    """The value that a text of JSON describes; FormatError if it is none, or exceeds the limits.

    An object that has a name twice is refused: readers disagree about which of the values counts.
    """
    with parsing("JSON", json.JSONDecodeError):
        value = _DECODER.decode(text)
    return check_value(value)


def parse_object(text: str) -> dict[str, Any]:
    """The object that a text of JSON describes; FormatError if it describes anything else."""
    value = parse_json(text)
    if not isinstance(value, dict):
        raise FormatError(f"it is not a JSON object but {quote(value)}")
    return value


def _unite(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise FormatError(f"it has the name {quote(twice)} twice")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_unite)
