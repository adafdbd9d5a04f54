"""Signatures and attributes as they are in the source."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from inspect import Parameter
from typing import Any, ForwardRef

import attrs

MARKS: Mapping[object, str] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}


@attrs.frozen
class Attribute:
    """A public attribute of a class: annotation and default as in the source, and its docstring."""

    name: str
    annotation: str
    default: str
    meaning: str


def signature(function: Callable[..., Any], name: str) -> str:
    """`name(parameters) -> type` without self; for a class its constructor, or `class name` if it defines none."""
    if isinstance(function, type) and not any({"__init__", "_fields"} & vars(cls).keys() for cls in _own(function)):
        return f"class {name}"
    parsed = inspect.signature(function)
    words: list[str] = []
    starred = False
    for parameter in parsed.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is Parameter.KEYWORD_ONLY and not starred:
            words.append("*")
        starred = starred or parameter.kind in (Parameter.KEYWORD_ONLY, Parameter.VAR_POSITIONAL)
        words.append(_parameter(parameter))
    returned = "" if isinstance(function, type) else f" -> {_annotation(parsed.return_annotation)}"
    return f"{name}({', '.join(words)}){returned}"


def attributes_of(cls: type) -> Iterator[Attribute]:
    """The public attributes that the body of a class declares, in order; not its state."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    for statement, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign):
            target, annotation = ast.unparse(statement.target), ast.unparse(statement.annotation)
        elif isinstance(statement, ast.Assign):
            target, annotation = ast.unparse(statement.targets[0]), ""
        else:
            continue
        if not target.startswith("_") and "init=False" not in ast.unparse(statement):
            meaning = _docstring(following) or _summary(cls, target, statement.value)
            yield Attribute(target, annotation, _default(statement.value), meaning)


def _own(cls: type) -> list[type]:
    """The class and those of its bases that belong to this project."""
    return [base for base in cls.__mro__ if base.__module__.startswith("nasplug")]


def _parameter(parameter: Parameter) -> str:
    shown = f"{MARKS.get(parameter.kind, '')}{parameter.name}: {_annotation(parameter.annotation)}"
    if parameter.default is Parameter.empty:
        return shown
    plain = isinstance(parameter.default, str | int | float | tuple | None)
    return f"{shown} = {repr(parameter.default) if plain else '...'}"


def _annotation(annotation: object) -> str:
    if isinstance(annotation, ForwardRef):  # those of a named tuple
        annotation = annotation.__forward_arg__
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _default(value: ast.expr | None) -> str:
    if not isinstance(value, ast.Call):
        return "" if value is None else ast.unparse(value)
    called = ast.unparse(value.func)
    if called == "MappingProxyType":
        return ast.unparse(value.args[0])
    if called == "option":
        return ast.unparse(value.args[0])
    if called != "attrs.field":
        return ast.unparse(value)
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in value.keywords}
    if "factory" in keywords:
        return f"{keywords['factory']}()"
    return "..." if "(" in keywords.get("default", "") else keywords.get("default", "")


def _summary(cls: Any, name: str, value: ast.expr | None) -> str:
    """The summary of an attribute that a call of `option` makes."""
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "option":
        return str(attrs.fields_dict(cls)[name].metadata["summary"])
    return ""


def _docstring(statement: ast.stmt | None) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return inspect.cleandoc(str(statement.value.value))
    return ""
