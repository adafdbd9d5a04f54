"""Markdown that GitHub and Sphinx render alike."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence

_CODE = re.compile(r"(`[^`]*`)")


def text(docstring: str | None) -> str:
    """A docstring as Markdown: code spans and indented blocks are kept, everything else is escaped."""
    if not docstring:
        return ""
    lines = inspect.cleandoc(docstring.replace("\b", "")).splitlines()
    return "\n".join(line if line.startswith("    ") else _escaped(line) for line in lines)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table; cells are Markdown."""
    yield row(head)
    yield row(["---"] * len(head))
    yield from map(row, rows)


def row(cells: Iterable[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(map(_cell, cells))} |"


def code(word: object) -> str:
    """A word as a code span."""
    return f"`{word}`"


def _cell(content: str) -> str:
    return " ".join(content.split()).replace("|", "\\|")


def _escaped(line: str) -> str:
    pieces = _CODE.split(line)
    return "".join(piece if piece.startswith("`") else re.sub(r"([*<\[])", r"\\\1", piece) for piece in pieces)
