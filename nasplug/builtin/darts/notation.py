"""Reading genotypes: the JSON of nasplug, and the `Genotype(normal=..., ...)` under which the field publishes cells.

Published text is Python; it is parsed into a syntax tree of which only literals and `range(...)` are read, and never
evaluated.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence
from typing import Any

from nasplug.builtin.darts.genotype import TYPES, CellGraph, Pick, check_pick, read_genotype, write_genotype
from nasplug.errors import InputError, choose_from, quote
from nasplug.formats.limits import DEEPEST, FormatError, check_length, too_many_digits
from nasplug.values import Genotype

FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")


def parse_genotype(text: str) -> Genotype:
    """The genotype that a text describes; InputError says what is wrong with it."""
    if text.lstrip().startswith("{"):
        genotype = Genotype.from_json(text)
        read_genotype(genotype)
        return genotype
    return _parse_published(text)


def _parse_published(text: str) -> Genotype:
    text = text.strip()
    try:
        check_length(text)
        with warnings.catch_warnings(action="ignore"):  # Python warns of what no genotype holds, such as '\d'
            tree = ast.parse(text).body
    except (FormatError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        if "digits" in reason:  # Python's advice is for programmers
            reason = str(too_many_digits())
        raise InputError(
            f"This text is neither JSON nor a published Genotype(...): {reason or 'it is nested too deeply'}, in "
            f"{quote(text)}."
        ) from error
    statement = tree[0] if len(tree) == 1 else None
    call = statement.value if isinstance(statement, ast.Assign | ast.Expr) else None
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Genotype"):
        raise InputError("A genotype is JSON or one Genotype(normal=..., reduce=...), but this text is neither.")
    if len(call.args) > len(FIELDS):
        raise InputError(f"A published genotype has the fields {', '.join(FIELDS)}, but this one has more.")
    values = {name: _read_literal(value, text) for name, value in zip(FIELDS, call.args, strict=False)}
    for keyword in call.keywords:
        if keyword.arg not in FIELDS:
            raise choose_from("field of a genotype", str(keyword.arg), FIELDS)
        if keyword.arg in values:
            raise InputError(f"This published genotype has the field '{keyword.arg}' twice.")
        values[keyword.arg] = _read_literal(keyword.value, text)
    missing = [name for name in TYPES if name not in values]
    if missing:
        raise InputError(f"This published genotype lacks the field '{missing[0]}'.")
    return write_genotype({name: _read_cell(name, values[name], values.get(f"{name}_concat")) for name in TYPES})


def _read_literal(node: ast.expr, text: str, depth: int = 0) -> Any:
    if depth == DEEPEST:
        raise InputError(f"A published genotype is nested at most {DEEPEST} deep, but this one is deeper.")
    if isinstance(node, ast.List | ast.Tuple):
        return [_read_literal(element, text, depth + 1) for element in node.elts]
    if isinstance(node, ast.Constant) and type(node.value) in (int, str):
        return node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        bounds = [_read_literal(argument, text, depth + 1) for argument in node.args]
        # A cell has a handful of nodes: the bound keeps range(10**12) from filling the memory.
        if (
            not node.keywords
            and len(bounds) in (1, 2)
            and all(type(bound) is int and 0 <= bound < 100 for bound in bounds)
        ):
            return list(range(*bounds))
    written = ast.get_source_segment(text, node) or "something else"  # ast.unparse would walk into any depth
    raise InputError(f"A published genotype holds names, numbers, lists and range(a, b), but not {quote(written)}.")


def _read_cell(name: str, edges: Any, concat: Any) -> CellGraph:
    if not isinstance(edges, list) or not edges:
        raise InputError(f"Field '{name}' of a genotype lists (operation, input) pairs, but it is {quote(edges)}.")
    if concat is not None and not (isinstance(concat, list) and concat and all(type(node) is int for node in concat)):
        raise InputError(f"Field '{name}_concat' of a genotype lists nodes, but it is {quote(concat)}.")
    nested = all(isinstance(node, list) and node and all(isinstance(edge, list) for edge in node) for node in edges)
    nodes = edges if nested else _divide_equally(name, edges, concat)
    numbers = range(2, len(nodes) + 2)
    if concat is not None and not (len(set(concat)) == len(concat) and set(concat) <= set(numbers)):
        raise InputError(
            f"Field '{name}_concat' must list distinct nodes from 2 to {len(nodes) + 1}; it is {quote(concat)}."
        )
    return CellGraph(
        nodes=tuple(_read_node(f"{name}/{number}", number, pairs) for number, pairs in enumerate(nodes, 2)),
        concat=tuple(sorted(concat)) if concat is not None else tuple(numbers),
    )


def _divide_equally(name: str, edges: list[Any], concat: Sequence[int] | None) -> list[list[Any]]:
    # A flat list does not say where a node ends; the last node is concatenated in every published cell.
    nodes = max(concat) - 1 if concat is not None else len(edges) // 2
    if nodes < 1 or len(edges) % nodes:
        raise InputError(f"Field '{name}' has {len(edges)} edges, which do not divide equally among {nodes} nodes.")
    share = len(edges) // nodes
    return [edges[start : start + share] for start in range(0, len(edges), share)]


def _read_node(place: str, number: int, pairs: list[Any]) -> tuple[Pick, ...]:
    picks = []
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and type(pair[1]) is int):
            raise InputError(f"At '{place}' an edge is written ('operation', input), but {quote(pair)} is not.")
        picks.append(check_pick(pair[0], pair[1], number, place))
    return tuple(picks)
