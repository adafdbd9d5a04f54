"""Packages that are not part of nasplug import public modules only, as the page on publishing asks of everybody's."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nasplug.testing.checks.packages import PUBLIC_MODULES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "publish-a-plugin.md").read_text(encoding="utf-8")
FILES = sorted([*ROOT.glob("examples/*/src/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")])


def public_modules() -> set[str]:
    """The modules that the page lists."""
    listed = re.search(r"Import public modules only: ([^.]*nasplug\.[^.]*)\.", PAGE)
    assert listed
    return {f"nasplug.{name.removeprefix('nasplug.')}" for name in re.findall(r"`([\w.]+)`", listed[1])}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from [f"nasplug.{alias.name}" for alias in node.names] if node.module == "nasplug" else [node.module]
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_packages_import_public_modules_only(path):
    public = public_modules()
    own = {name for name in imported(path) if name.partition(".")[0] == "nasplug"}

    assert {".".join(name.split(".")[:2]) for name in own} <= public


def test_the_page_lists_what_the_contract_takes_for_public():
    assert public_modules() == PUBLIC_MODULES
