"""What the entries of an object must be: a table of field kinds for each file, and the check that reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import attrs

from nasplug.errors import quote
from nasplug.formats.limits import FormatError

LARGEST = 2**63 - 1
"""The largest whole number that other programs can be expected to read."""


@attrs.frozen
class Kind:
    """What a field may hold."""

    words: str
    """As the end of a sentence, such as "a whole number from 0 on"."""
    holds: Callable[[Any], bool] = attrs.field(repr=False)

    def or_null(self) -> Kind:
        """The same, or null."""
        return Kind(f"{self.words} or null", lambda value: value is None or self.holds(value))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


TEXT = Kind("text", lambda value: isinstance(value, str))
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
WHOLE = Kind("a whole number from 0 on", _is_whole)
NUMBER = Kind("a number", _is_number)
"""May be NaN or infinite."""
OBJECT = Kind("an object", lambda value: isinstance(value, dict))


def list_of(kind: Kind) -> Kind:
    """A list of which every entry is of this kind."""
    return Kind(
        f"a list, each entry {kind.words}", lambda value: isinstance(value, list) and all(map(kind.holds, value))
    )


def object_of(kind: Kind) -> Kind:
    """An object of which every value is of this kind."""
    return Kind(
        f"an object, each value {kind.words}",
        lambda value: isinstance(value, dict) and all(map(kind.holds, value.values())),
    )


def check_fields(
    entry: object, required: Mapping[str, Kind], optional: Mapping[str, Kind] | None = None
) -> Mapping[str, Any]:
    """`entry`, if it is an object that has all `required` fields, and every field that is named here is of its kind.

    Other fields may be anything. FormatError says what is missing, or which field holds what instead of what.
    """
    if not isinstance(entry, dict):
        raise FormatError(f"it must be an object, but it is {quote(entry)}")
    for name, kind in required.items():
        if name not in entry:
            raise FormatError(f"it lacks {quote(name)}, which is {kind.words}")
    for name, kind in chain(required.items(), (optional or {}).items()):
        if name in entry and not kind.holds(entry[name]):
            raise FormatError(f"{quote(name)} must be {kind.words}, but it is {quote(entry[name])}")
    return entry
