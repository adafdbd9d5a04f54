"""A method: a named recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

Options = Mapping[str, Mapping[str, Any]]


@attrs.frozen
class Method:
    """A named recipe: one part per slot, their options, training defaults and presets; nothing else.

    `options` and each preset map a section of the recipe ("run", "space", "optimizer", "schedule", "teacher",
    "selector", "data", "search", "retrain", "select") to options of that section. Options of a slot belong to the part
    named here: a run that replaces the part drops them. A preset may name another part for a slot by the key "part".
    """

    name: str
    space: str
    optimizer: str
    schedule: str = "keep"
    teacher: str = "labels"
    selector: str = ""
    """Empty: the one that the optimizer asks for (`ArchitectureOptimizer.selector`)."""
    options: Options = attrs.field(factory=dict)
    presets: Mapping[str, Options] = attrs.field(factory=dict)
    paper: str = ""
    """The name of the preset with the constants of the paper; empty: there is none."""
