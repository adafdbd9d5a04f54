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

from nasplug.errors import InputError, suggest

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
    """An option: its default, what it means (with its unit), and the values that it may take.

    Of a list, `length` is the number of values, and choices and bounds hold for each of them.
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
            raise InputError(f"Option '{attribute.name}' takes {length} values, but got {len(value)}: {list(value)}.")
        for one in value if isinstance(value, tuple) else (value,):
            if choices is not None and one not in choices:
                hint = suggest(str(one), map(str, choices))
                raise InputError(
                    f"Option '{attribute.name}' cannot be {one!r}; it is one of {', '.join(map(str, choices))}.{hint}"
                )
            for bound, words, holds in bounds:
                if bound is not None and not holds(one, bound):
                    raise InputError(f"Option '{attribute.name}' must be {words} {bound:g}, but it is {one!r}.")

    allowed = " and ".join(f"{words} {bound:g}" for bound, words, _ in bounds if bound is not None)
    told = {"summary": summary, "choices": choices, "range": allowed}
    return attrs.field(default=default, validator=check, kw_only=True, metadata=told)


def options_of(cls: type) -> dict[str, attrs.Attribute[Any]]:
    """The options of a class by name, in the order of their declaration."""
    return {field.name: field for field in attrs.fields(cls) if field.init}


def build(cls: type[P], options: Mapping[str, Any], where: str) -> P:
    """An instance of `cls` from plain options, as read from TOML or the command line.

    Raises InputError for an unknown option (with the nearest known one), a value of another type, or one out of
    range. `where` names the section ("space darts") in messages.
    """
    known = options_of(cls)
    hints = typing.get_type_hints(cls)
    values = {}
    for name, value in options.items():
        if name not in known:
            hint = suggest(name, known)
            raise InputError(f"{where} has no option '{name}'.{hint} Known: {', '.join(known) or 'none'}.")
        values[name] = _convert(value, hints[name], f"Option '{name}' of {where}")
    try:
        return cls(**values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def option_values(part: Any) -> dict[str, Any]:
    """The options of a part as plain data; `build` takes them back."""
    plain = {name: getattr(part, name) for name in options_of(type(part))}
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in plain.items() if value is not None
    }


def is_plain(value: Any) -> bool:
    """Whether a recipe can hold `value`: text, a number, a truth value, nothing, or a list of these."""
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return value is None or isinstance(value, str | int | float)


def _convert(value: Any, hint: Any, what: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        inner = [one for one in arguments if one is not type(None)]
        return _convert(value, inner[0], what) if len(inner) == 1 else value
    if origin is tuple:
        if isinstance(value, str):
            value = [word.strip() for word in value.split(",")]
        elif not isinstance(value, Sequence):
            value = [value]
        return tuple(_convert(one, arguments[0], what) for one in value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        # TOML has inf and nan; a whole number may be too large for a float.
        if not -sys.float_info.max <= value <= sys.float_info.max:
            raise InputError(f"{what} must be a finite number, but it is {value}.")
        return float(value)
    if hint is Any:
        return value
    if isinstance(hint, type) and (not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool)):
        raise InputError(f"{what} must be {_words(hint)}, but it is {value!r}.")
    return value


def _words(hint: type) -> str:
    return {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}.get(hint, hint.__name__)
