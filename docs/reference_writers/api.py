"""Entries for public names: each under its exact signature, with its docstring."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from types import GenericAlias, UnionType
from typing import Any

from reference_writers.markdown import code, table, text
from reference_writers.signatures import attributes_of, signature

NAMED_METHODS = ("__call__", "__getitem__", "__iter__")
"""Special methods that readers call, and that get an entry."""


def entries(module: Any, names: Iterable[str], *, constructed: bool = True) -> Iterator[str]:
    """An entry for each of these names of a module; see `entry`."""
    for name in names:
        yield from entry(getattr(module, name), name, constructed=constructed)


def entry(target: Any, name: str, *, constructed: bool = True) -> Iterator[str]:
    """A heading with the signature, the docstring, and for a class its attributes, properties and methods.

    A class that readers do not construct themselves (`constructed` is false) is shown without parameters.
    """
    level = "##"
    if isinstance(target, UnionType):
        members = " | ".join(member.__name__ for member in target.__args__)
        yield f"\n{level} {code(f'{name} = {members}')}"
        return
    if isinstance(target, GenericAlias):
        arguments = ", ".join(argument.__name__ for argument in target.__args__)
        yield f"\n{level} {code(f'{name} = {target.__origin__.__name__}[{arguments}]')}"
        return
    yield f"\n{level} {code(signature(target, name) if constructed else f'class {name}')}\n"
    # A class without a docstring inherits that of attrs or torch, which does not describe it.
    yield text(vars(target).get("__doc__") if isinstance(target, type) else target.__doc__)
    if isinstance(target, type):
        yield from _attributes(target)
        for method in _methods(target):
            yield from _method(target, method, name, level + "#")


def _attributes(cls: type) -> Iterator[str]:
    # No row for an attribute of which the signature in the heading says everything.
    in_signature = "__init__" in vars(cls)
    attributes = [
        attribute
        for attribute in attributes_of(cls)
        if attribute.meaning or (attribute.annotation and not in_signature)
    ]
    if attributes:
        yield ""
        yield from table(
            ["attribute", "type", "default", "meaning"],
            [
                [
                    code(attribute.name),
                    code(attribute.annotation) if attribute.annotation else "",
                    code(attribute.default) if attribute.default else "",
                    text(attribute.meaning),
                ]
                for attribute in attributes
            ],
        )


def _methods(cls: type) -> list[str]:
    public = [name for name in vars(cls) if not name.startswith("_") or name in NAMED_METHODS]
    return [name for name in public if inspect.isfunction(_function(cls, name)) and _function(cls, name).__doc__]


def _method(cls: type, method: str, owner: str, level: str) -> Iterator[str]:
    member = inspect.getattr_static(cls, method)
    function = _function(cls, method)
    kind = ""
    if isinstance(member, property):
        returned = inspect.signature(function).return_annotation
        yield f"\n{level} {code(f'{owner}.{method}: {returned}')}\n"
        kind = "*Property.* "
    else:
        yield f"\n{level} {code(signature(function, f'{owner}.{method}'))}\n"
    if getattr(function, "__isabstractmethod__", False):
        kind = "*Abstract.* "
    elif isinstance(member, classmethod):
        kind = "*Class method.* "
    yield kind + text(function.__doc__)


def _function(cls: type, name: str) -> Any:
    member = inspect.getattr_static(cls, name)
    if isinstance(member, property):
        return member.fget
    return member.__func__ if isinstance(member, classmethod | staticmethod) else member
