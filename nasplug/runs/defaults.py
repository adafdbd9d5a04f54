"""From what a user asks for to a recipe, on top of what the machine suggests."""

from __future__ import annotations

import os
from collections.abc import Sequence

from nasplug.compose import OptionLayer, resolve
from nasplug.plugins import Plugins
from nasplug.plugins.hook_calls import note
from nasplug.plugins.program_objects import objects_for_others
from nasplug.runs.context import find_device
from nasplug.values.recipe import Recipe

MOST = 8
"""Threads or processes that are used at most without being asked for."""


def resolve_recipe(plugins: Plugins, layers: Sequence[OptionLayer]) -> Recipe:
    """The recipe that `layers` ask for (earlier ones weaker); InputError for what cannot be had."""
    most = _most_jobs(layers)
    jobs = 1 if objects_for_others(plugins) is None else most
    return resolve(plugins, [{"run": {"threads": _threads(), "jobs": jobs}}, *layers])


def note_jobs(plugins: Plugins, layers: Sequence[OptionLayer]) -> None:
    """Says so where objects that were handed over are why a run that asks for no jobs gets one alone."""
    asked = any("jobs" in layer.get("run", {}) for layer in layers)
    if not asked and objects_for_others(plugins) is None and _most_jobs(layers) > 1:
        note("Networks are retrained one at a time: other processes cannot have the objects handed over.")


def _most_jobs(layers: Sequence[OptionLayer]) -> int:
    asked = [layer["run"]["device"] for layer in layers if "device" in layer.get("run", {})]
    device = find_device(str(asked[-1]) if asked else "auto")
    return _cores() if device.type == "cpu" else 1


def _threads() -> int:
    """As many as there are cores, or as OMP_NUM_THREADS says: threads that compete are slower than one alone."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(int(asked), MOST) if asked.isdecimal() and int(asked) else _cores()


def _cores() -> int:
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MOST)
