"""From names and options to a recipe, and from a recipe to parts that fit together."""

from __future__ import annotations

from nasplug.compose.composition import Composition, compose
from nasplug.compose.layers import OptionLayer, parse_setting, read_config, recipe_sections
from nasplug.compose.references import build_reference
from nasplug.compose.resolve import check_versions, resolve, resolve_recorded

__all__ = [
    "Composition",
    "OptionLayer",
    "build_reference",
    "check_versions",
    "compose",
    "parse_setting",
    "read_config",
    "recipe_sections",
    "resolve",
    "resolve_recorded",
]
