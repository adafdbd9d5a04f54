"""The page "Where is what" is true: its files exist, and define the names that stand beside them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAP = ROOT / "docs" / "explanation" / "map.md"
ROW = re.compile(r"\| (?P<question>.+?) \| `(?P<path>[^`]+)` \|(?P<names>[^|]*)\|")
ROWS = [match for line in MAP.read_text(encoding="utf-8").splitlines() if (match := ROW.fullmatch(line))]


def defined(path: Path) -> set[str]:
    """The names that the file at `path` defines; those of classes also with a dot, such as `Choices.delete`."""
    return set(definitions(ast.parse(path.read_text(encoding="utf-8")).body))


def definitions(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            yield prefix + statement.name
        if isinstance(statement, ast.ClassDef):
            yield from definitions(statement.body, f"{prefix}{statement.name}.")
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            yield from (prefix + target.id for target in targets if isinstance(target, ast.Name))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["question"])
def test_files_define_the_names_beside_them(row):
    path, names = ROOT / row["path"], re.findall(r"`([^`]+)`", row["names"])

    assert path.is_file()
    assert not names or set(names) <= defined(path)


def test_every_row_of_every_table_is_tested():
    lines = [line for line in MAP.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    titles = [line for line in lines if line == "| question | file | names |"]

    assert len(lines) == len(ROWS) + len(titles)
    assert len({row["question"] for row in ROWS}) == len(ROWS)
