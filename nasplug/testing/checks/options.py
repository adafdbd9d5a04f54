"""Checks of every part and method: the registered object, and its options."""

from __future__ import annotations

import re
import tomllib
import typing
from collections.abc import Iterator
from typing import Any

import attrs
import tomli_w

from nasplug.errors import InputError, quote
from nasplug.plugins import SLOT_WORDS
from nasplug.plugins.slot_types import slot_type
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.outcome import Failed, NotApplicable, require
from nasplug.values import Method
from nasplug.values.options import build, option_fields, option_values

METHOD = "method"
PARTS = tuple(slot for slot in SLOT_WORDS if slot != METHOD)
NONSENSE = "no-such-word"


@check(*SLOT_WORDS, first=True)
def is_what_its_slot_asks_for(case: Case) -> None:
    """The registered object can be imported, and is an attrs class of the slot's base class, or a Method.

    Otherwise a misspelt import path, or a method that is missing, shows only when a user chooses the part.
    """
    try:
        target = case.target
    except InputError as error:
        raise Failed(
            str(error).rstrip("."), "register the import path of what there is, 'package.module:Object'"
        ) from error
    if case.slot == METHOD:
        require(isinstance(target, Method), f"it is {target!r:.60}", "register a nasplug.values.Method")
        return
    base = slot_type(case.slot)
    name = f"{base.__module__.rpartition('.')[0]}.{base.__name__}"
    is_subclass = isinstance(target, type) and issubclass(target, base)
    require(is_subclass, f"it is {target!r:.80}, no subclass of {name}", f"register a subclass of {name}")
    require("__attrs_attrs__" in vars(target), f"{target.__name__} is no attrs class", "decorate it with @attrs.define")
    missing = sorted(getattr(target, "__abstractmethods__", ()))
    require(not missing, f"{target.__name__} lacks {', '.join(missing)}", "implement these methods")


@check("space", "method")
def is_registered_by_its_own_name(case: Case) -> None:
    """A search space or method is registered under the name that it gives itself.

    Genotypes and weights name the space that they belong to; under another name nobody finds it again.
    """
    name = getattr(case.target, "name", None)
    require(
        name == case.name,
        f"its name is {quote(name)}",
        f"give it name = {case.name!r}; a space with genotypes of another keeps these by genotypes_of",
    )


@check(*PARTS, first=True)
def builds_from_its_defaults(case: Case) -> None:
    """Every option has a default, and the part can be built from its defaults.

    A recipe need not set every option, and a user who tries a part for the first time sets none.
    """
    for name, field in option_fields(case.target).items():
        require(field.default is not attrs.NOTHING, f"option '{name}' has no default", "give it one")
    build(case.target, case.options.get(case.title, {}), case.title)


@check(*PARTS, of_options=True)
def describes_its_options(case: Case) -> None:
    """Every option has a type and a sentence that says what it means.

    `nasplug show` and the documentation print nothing else about it, and without a type no value can be checked.
    """
    hints = typing.get_type_hints(case.target)
    for name, field in case.option_fields().items():
        require(name in hints, f"option '{name}' has no type", "annotate it: float, int, str, bool or tuple of these")
        require(
            bool(str(field.metadata.get("summary", "")).strip()),
            f"nothing says what option '{name}' means",
            "declare it with nasplug.parts.option(default, 'what it means, with its unit')",
        )


@check(*PARTS, of_options=True)
def refuses_bad_options_in_a_sentence(case: Case) -> None:
    """A value of the wrong type or outside its bounds is refused with an InputError, never with another exception.

    A value that a user mistypes after --set reaches the part's own code, which may divide by it or look it up.
    """
    for name, field in case.option_fields().items():
        for value, must_be_refused in _values_to_try(case.target, name, field):
            what = f"with {name}={value!r} it"
            try:
                build(case.target, {name: value}, case.title)
            except InputError:
                continue
            except Exception as error:
                raise Failed(
                    f"{what} raises {type(error).__name__}: {error}",
                    "declare its bounds or choices (nasplug.parts.option), or raise "
                    "nasplug.errors.InputError in __attrs_post_init__",
                ) from error
            require(not must_be_refused, f"{what} is built", "declare the bounds or choices of the option")


@check(*PARTS, of_options=True)
def options_survive_a_recipe(case: Case) -> None:
    """Options that are written to a recipe.toml and read again build an equal part.

    A run is resumed, and a network is loaded, from the options in this file.
    """
    if not option_fields(case.target):
        raise NotApplicable("it has no options")
    part = build(case.target, case.options.get(case.title, {}), case.title)
    values = option_values(part)
    try:
        text = tomli_w.dumps(values)
    except TypeError as error:
        raise Failed(f"its options {values!r} cannot be written as TOML ({error})", "use plain values") from error
    again = option_values(build(case.target, tomllib.loads(text), case.title))
    differing = [name for name in case.option_fields() if again.get(name) != values.get(name)]
    require(
        not differing,
        f"the option '{(differing or [''])[0]}' comes back with another value",
        "do not change options: what is computed from them belongs in other fields, with init=False",
    )


def _values_to_try(cls: type[Any], name: str, field: attrs.Attribute[Any]) -> Iterator[tuple[Any, bool]]:
    """Values to try for an option, and for each whether it must be refused."""
    hint = typing.get_type_hints(cls).get(name, str)
    is_tuple = typing.get_origin(hint) is tuple
    types = (*typing.get_args(hint), hint)
    scalar = next((candidate for candidate in types if candidate in (bool, int, float, str)), None)
    if scalar is None:
        return
    values: list[tuple[Any, bool]] = [({}, True)]
    if field.metadata.get("choices"):
        values.append((NONSENSE if scalar is str else -12345, True))
    elif scalar is str:
        values += [(NONSENSE, False), ("", False)]
    elif scalar in (int, float):
        values += [(scalar(0), False), (scalar(-1), False), (NONSENSE, True)]
        values += [(scalar(bound), True) for bound in _outside(str(field.metadata.get("range", "")))]
    yield from (([value], refused) if is_tuple and value != {} else (value, refused) for value, refused in values)


def _outside(bounds: str) -> Iterator[float]:
    """The nearest values that bounds such as "at least 0 and below 1" exclude: here -1 and 1."""
    for words, bound in re.findall(r"(at least|at most|above|below) (-?[\d.e+-]+)", bounds):
        yield float(bound) + {"at least": -1, "at most": 1}.get(words, 0)
