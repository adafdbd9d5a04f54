"""Pieces of Markdown that GitHub and Sphinx read alike."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence

_CODE = re.compile(r"(`[^`]*`)")


def text(docstring: str | None) -> str:
    """A docstring as Markdown: its code spans and indented blocks stay, no other letter means anything."""
    if not docstring:
        return ""
    lines = inspect.cleandoc(docstring.replace("\b", "")).splitlines()
    return "\n".join(line if line.startswith("    ") else _escaped(line) for line in lines)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table; cells are Markdown already."""
    yield row(head)
    yield row(["---"] * len(head))
    yield from map(row, rows)


def row(cells: Iterable[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(_cell(each) for each in cells)} |"


def code(word: object) -> str:
    """A word in the type of code."""
    return f"`{word}`"


def _cell(content: str) -> str:
    return " ".join(content.split()).replace("|", "\\|")


def _escaped(line: str) -> str:
    pieces = _CODE.split(line)
    return "".join(piece if piece.startswith("`") else re.sub(r"([*<\[])", r"\\\1", piece) for piece in pieces)
