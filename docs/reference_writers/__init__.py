"""Writes the generated pages of docs/reference: one function per page, which yields its lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from reference_writers.commands import commands
from reference_writers.composition import composition
from reference_writers.contract import checks
from reference_writers.modules import data_page, foundations, hooks, parts_page, python, supernets_page, values_page
from reference_writers.parts import methods, parts

PAGES: Mapping[str, Callable[[], Iterator[str]]] = {
    "python": python,
    "commands": commands,
    "methods": methods,
    "options": parts,
    "composition": composition,
    "hooks": hooks,
    "checks": checks,
    "parts": parts_page,
    "values": values_page,
    "supernets": supernets_page,
    "foundations": foundations,
    "data": data_page,
}
COMMAND = "uv run python docs/generate.py"


def render_page(name: str) -> str:
    """The Markdown of the page `name`."""
    title, *lines = "\n".join(PAGES[name]()).splitlines()
    return "\n".join([title, "", f"<!-- Written by `{COMMAND}`. -->", *lines]).rstrip() + "\n"
