"""Where options come from: files and the command line, as plain sections."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nasplug.errors import InputError, choose_from
from nasplug.values.recipe import SLOTS

OptionLayer = Mapping[str, Mapping[str, Any]]
"""Options by section of the recipe; a slot's section may name its part with the key "part"."""

SECTIONS = ("run", *SLOTS, "data", "search", "retrain", "select")
RECORDED = ("plugins", "environment")
"""Sections that a run writes for the record; a recipe read as configuration leaves them unused."""


def read_config(path: Path) -> OptionLayer:
    """The sections of a TOML file, such as a run's own `recipe.toml`; InputError if it is not one."""
    try:
        sections = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"The configuration '{path}' cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"The configuration '{path}' is not TOML: {error}.") from error
    for name, section in sections.items():
        if name not in SECTIONS + RECORDED:
            raise choose_from(f"section of a recipe (in '{path}')", name, SECTIONS)
        if not isinstance(section, dict):
            raise InputError(f"In '{path}', '{name}' must be a section of options, but it is {section!r}.")
    return {name: section for name, section in sections.items() if name not in RECORDED}


def parse_setting(text: str) -> tuple[str, str, Any]:
    """Section, option and value of `section.option=value`; the value is read as TOML, or else as a word."""
    target, equals, written = text.partition("=")
    section, dot, name = target.strip().partition(".")
    if not (equals and dot and name):
        raise InputError(f"--set takes SECTION.OPTION=VALUE, for example search.epochs=10, but got '{text}'.")
    if section not in SECTIONS:
        raise choose_from("section of a recipe", section, SECTIONS)
    try:
        value = tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        value = written.strip()
    return section, name, value
