"""From names and options to a recipe, and from a recipe to parts that fit together."""

from __future__ import annotations

from nasplug.compose.composition import Composition, compose
from nasplug.compose.executors import build_executor, complete_executor
from nasplug.compose.layers import OptionLayer, parse_setting, read_config, recipe_sections
from nasplug.compose.recorded_size import check_recorded_size, resize_space
from nasplug.compose.references import build_reference
from nasplug.compose.resolve import check_versions, drop_other_measures, resolve, resolve_recorded

__all__ = [
    "Composition",
    "OptionLayer",
    "build_executor",
    "build_reference",
    "check_recorded_size",
    "check_versions",
    "complete_executor",
    "compose",
    "drop_other_measures",
    "parse_setting",
    "read_config",
    "recipe_sections",
    "resize_space",
    "resolve",
    "resolve_recorded",
]
