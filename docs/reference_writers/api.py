"""Pages on the public modules: every name under its exact signature, with its docstring."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from types import UnionType
from typing import Any

from reference_writers.markdown import code, table, text
from reference_writers.signatures import attributes_of, signature

NAMED_METHODS = ("__call__", "__getitem__", "__iter__")
"""Methods with underscores that a reader calls."""


def entries(module: Any, names: Iterable[str], *, made: bool = True) -> Iterator[str]:
    """An entry for each of these names of a module; classes that are not `made` by a reader show no parameters."""
    for name in names:
        yield from entry(getattr(module, name), name, made=made)


def entry(thing: Any, name: str, *, made: bool = True) -> Iterator[str]:
    """A heading with the signature, the docstring, and for a class its attributes, properties and methods."""
    level = "##"
    if isinstance(thing, UnionType):
        members = " | ".join(each.__name__ for each in thing.__args__)
        yield f"\n{level} {code(f'{name} = {members}')}"
        return
    yield f"\n{level} {code(signature(thing, name) if made else f'class {name}')}\n"
    # A class without a docstring inherits the text of attrs or torch, which says nothing of it.
    yield text(vars(thing).get("__doc__") if isinstance(thing, type) else thing.__doc__)
    if isinstance(thing, type):
        yield from _attributes(thing)
        for method in _methods(thing):
            yield from _method(thing, method, name, level + "#")


def _attributes(cls: type) -> Iterator[str]:
    # What the signature in the heading says already is not worth a row.
    told = "__init__" in vars(cls)
    found = [each for each in attributes_of(cls) if each.meaning or (each.annotation and not told)]
    if found:
        yield ""
        yield from table(
            ["attribute", "type", "default", "meaning"],
            [
                [
                    code(each.name),
                    code(each.annotation) if each.annotation else "",
                    code(each.default) if each.default else "",
                    text(each.meaning),
                ]
                for each in found
            ],
        )


def _methods(cls: type) -> list[str]:
    public = [name for name in vars(cls) if not name.startswith("_") or name in NAMED_METHODS]
    return [name for name in public if inspect.isfunction(_function(cls, name)) and _function(cls, name).__doc__]


def _method(cls: type, method: str, owner: str, level: str) -> Iterator[str]:
    found = inspect.getattr_static(cls, method)
    function = _function(cls, method)
    kind = ""
    if isinstance(found, property):
        returned = inspect.signature(function).return_annotation
        yield f"\n{level} {code(f'{owner}.{method}: {returned}')}\n"
        kind = "*Property.* "
    else:
        yield f"\n{level} {code(signature(function, f'{owner}.{method}'))}\n"
    if getattr(function, "__isabstractmethod__", False):
        kind = "*To be written by every implementation.* "
    elif isinstance(found, classmethod):
        kind = "*Class method.* "
    yield kind + text(function.__doc__)


def _function(cls: type, name: str) -> Any:
    found = inspect.getattr_static(cls, name)
    if isinstance(found, property):
        return found.fget
    return found.__func__ if isinstance(found, classmethod | staticmethod) else found
