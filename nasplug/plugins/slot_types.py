"""The types that registered objects must have."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

from nasplug.errors import InputError

SLOT_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "space": "nasplug.parts:SearchSpace",
        "optimizer": "nasplug.parts:ArchitectureOptimizer",
        "schedule": "nasplug.parts:PruningSchedule",
        "teacher": "nasplug.parts:DistillationTeacher",
        "selector": "nasplug.parts:Selector",
        "dataset": "nasplug.parts:DataSource",
        "cost": "nasplug.parts:CostMeasure",
        "reference": "nasplug.parts:ReferenceNetwork",
        "executor": "nasplug.parts:TrainingExecutor",
        "method": "nasplug.values:Method",
    }
)
"""By slot, the class from which its parts are derived, or `Method`; as import paths, because parts import torch."""


def slot_type(slot: str) -> type:
    """The class that KINDS names."""
    module, _, attribute = SLOT_TYPES[slot].partition(":")
    cls: type = getattr(importlib.import_module(module), attribute)
    return cls


def check_slot_type(slot: str, target: Any, what: str) -> None:
    """Raises InputError, whose message begins with `what`, unless `target` is of the type that `slot` requires."""
    required = slot_type(slot)
    name = SLOT_TYPES[slot].replace(":", ".")
    if slot == "method":
        fits, words = isinstance(target, required), f"a {name}"
    else:
        fits = isinstance(target, type) and issubclass(target, required) and attrs.has(target)
        words = f"an attrs class derived from {name}"
    if not fits:
        raise InputError(f"{what} is not {words}, but {target!r:.80}; its author has to fix that.")
