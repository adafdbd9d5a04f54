"""Options of parts: declared as attrs fields, checked at construction, described for `nasplug show`.

On a part, fields with `init=True` are options and fields with `init=False` are state (see `nasplug.parts.state`).
"""

from __future__ import annotations

import operator
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import attrs

from nasplug.errors import InputError, quote, suggest
from nasplug.formats.fields import LARGEST
from nasplug.formats.limits import is_unicode

P = TypeVar("P")


def option(
    default: Any,
    summary: str,
    *,
    choices: Sequence[Any] | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    length: int | None = None,
) -> Any:
    """Declares an option as an attrs field: its default, its meaning (with the unit) and the values that it may take.

    `choices` lists all values allowed; `at_least`, `at_most` (inclusive), `above` and `below` (exclusive) are bounds.
    For a tuple, `length` is the number of its values, and choices and bounds apply to each of them. None passes these
    checks. Constructing a part with any other value raises InputError.
    """
    bounds = (
        (at_least, "at least", operator.ge),
        (at_most, "at most", operator.le),
        (above, "above", operator.gt),
        (below, "below", operator.lt),
    )

    def check(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is None:
            return
        if length is not None and len(value) != length:
            raise InputError(
                f"Option '{attribute.name}' takes {length} values, but got {len(value)}: {quote(list(value))}."
            )
        for entry in value if isinstance(value, tuple) else (value,):
            if choices is not None and entry not in choices:
                hint = suggest(str(entry), map(str, choices))
                raise InputError(
                    f"Option '{attribute.name}' cannot be {quote(entry)}; it is one of "
                    f"{', '.join(map(str, choices))}.{hint}"
                )
            for bound, words, holds in bounds:
                if bound is not None and not holds(entry, bound):
                    raise InputError(f"Option '{attribute.name}' must be {words} {bound:g}, but it is {quote(entry)}.")

    allowed = " and ".join(f"{words} {bound:g}" for bound, words, _ in bounds if bound is not None)
    metadata = {"summary": summary, "choices": choices, "range": allowed}
    return attrs.field(default=default, validator=check, kw_only=True, metadata=metadata)


def option_fields(cls: type) -> dict[str, attrs.Attribute[Any]]:
    """The options of a class by name, in the order of their declaration."""
    return {field.name: field for field in attrs.fields(cls) if field.init}


def build(cls: type[P], options: Mapping[str, Any], where: str) -> P:
    """Builds an instance of `cls` from plain options, as read from TOML or the command line.

    Raises InputError for an unknown option (with the nearest known one), a value of another type, or one out of
    range. `where` names the recipe section ("space darts") in messages.
    """
    known = option_fields(cls)
    hints = typing.get_type_hints(cls)
    values = {}
    for name, value in options.items():
        if name not in known:
            hint = suggest(name, known)
            raise InputError(f"{where} has no option {quote(name)}.{hint} Known: {', '.join(known) or 'none'}.")
        values[name] = _convert(value, hints[name], f"Option '{name}' of {where}")
    try:
        return cls(**values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def option_values(part: Any) -> dict[str, Any]:
    """The options of a part that are not None, as plain data from which `build` makes an equal part."""
    plain = {name: getattr(part, name) for name in option_fields(type(part))}
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in plain.items() if value is not None
    }


def is_plain(value: Any) -> bool:
    """Whether a recipe file can hold `value`: text, a number, a truth value, None, or a list of these."""
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return value is None or isinstance(value, str | int | float)


def _convert(value: Any, hint: Any, what: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        inner = [argument for argument in arguments if argument is not type(None)]
        return _convert(value, inner[0], what) if len(inner) == 1 else value
    if origin is tuple:
        if isinstance(value, str):
            value = [word.strip() for word in value.split(",")] if value.strip() else []
        elif not isinstance(value, Sequence):
            value = [value]
        return tuple(_convert(entry, arguments[0], what) for entry in value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        # TOML has inf and nan; a whole number may be too large for a float.
        if not -sys.float_info.max <= value <= sys.float_info.max:
            raise InputError(f"{what} must be a finite number, but it is {quote(value)}.")
        return float(value)
    if hint is Any:
        return value
    if isinstance(hint, type) and (not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool)):
        raise InputError(f"{what} must be {_words(hint)}, but it is {quote(value)}.")
    if isinstance(value, str) and ("\0" in value or not is_unicode(value)):
        raise InputError(
            f"{what} must be text in UTF-8 without zero bytes, which is what a recipe can hold, but it is "
            f"{quote(value)}; rename what it names."
        )
    if isinstance(value, int) and abs(value) > LARGEST:
        raise InputError(f"{what} must be a whole number of at most {LARGEST}, but it is {quote(value)}.")
    return value


def _words(hint: type) -> str:
    return {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}.get(hint, hint.__name__)
