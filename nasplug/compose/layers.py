"""Where options come from: files and the command line, as plain sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nasplug.errors import InputError, choose_from, quote
from nasplug.formats.limits import FormatError
from nasplug.formats.toml_text import parse_toml, read_toml
from nasplug.plugins import Plugins
from nasplug.values.recipe import EXECUTOR, SLOTS

OptionLayer = Mapping[str, Mapping[str, Any]]
"""Options by section of the recipe; a slot's section may name its part with the key "part"."""

SECTIONS = ("run", *SLOTS, "data", "search", "retrain", "select")
"""The sections that every recipe of a run has."""
BUDGET = "budget"
"""The section of limits on costs, which recipes of earlier versions lack."""
RECORDED = ("plugins", "environment")
"""Sections that a run writes for the record; a recipe read as configuration leaves them unused."""


def recipe_sections(plugins: Plugins) -> tuple[str, ...]:
    """All sections that a recipe may have: its own, and one for the options of every cost measure and reference."""
    named = [each.section for each in plugins.registrations if each.slot in ("cost", "reference")]
    return (*SECTIONS, BUDGET, EXECUTOR, *dict.fromkeys(named))


def read_config(path: Path, known: Sequence[str]) -> OptionLayer:
    """The sections of a TOML file, such as a run's own `recipe.toml`.

    Raises InputError if it is not one, or if it has sections that are neither in `known` nor written for the record.
    """
    sections = read_toml(path, "configuration")
    for name, section in sections.items():
        if name not in known and name not in RECORDED:
            raise choose_from(f"section of a recipe (in {quote(path)})", name, known)
        if not isinstance(section, dict):
            raise InputError(f"In {quote(path)}, '{name}' must be a section of options, but it is {quote(section)}.")
    return {name: section for name, section in sections.items() if name not in RECORDED}


def parse_setting(text: str, sections: Sequence[str], kind: str = "section of a recipe") -> tuple[str, str, Any]:
    """Section, option and value of `section.option=value`; the value is read as TOML, or else as a word.

    Raises InputError for text of another form, and for a section that is none of `sections`, which are of this kind.
    """
    target, equals, written = text.partition("=")
    section, dot, name = target.strip().partition(".")
    if not (equals and section and dot and name):
        raise InputError(f"--set takes SECTION.OPTION=VALUE, for example search.epochs=10, but got {quote(text)}.")
    if section not in sections:
        raise choose_from(kind, section, sections)
    return section, name, _read_value(written)


def _read_value(written: str) -> Any:
    try:
        values = parse_toml(f"value = {written}")
    except FormatError:
        return written.strip()
    return values["value"] if len(values) == 1 else written.strip()  # several lines are no value
