"""From what a user asks for to a recipe, on top of what the machine suggests."""

from __future__ import annotations

import os
from collections.abc import Sequence

from nasplug.compose import Layer, resolve
from nasplug.phases.study import find_device
from nasplug.plugins import Plugins
from nasplug.plugins.calling import note
from nasplug.plugins.objects import objects_for_others
from nasplug.values.recipe import Recipe

MOST = 8
"""Threads or processes that are used at most without being asked for."""


def recipe_for(plugins: Plugins, layers: Sequence[Layer]) -> Recipe:
    """The recipe that `layers` ask for (earlier ones weaker); InputError for what cannot be had."""
    asked = [layer["run"]["device"] for layer in layers if "device" in layer.get("run", {})]
    device = find_device(str(asked[-1]) if asked else "auto")
    cores = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MOST)
    jobs = cores if device.type == "cpu" else 1
    if jobs > 1 and objects_for_others(plugins) is None:
        jobs = 1
        if not any("jobs" in layer.get("run", {}) for layer in layers):
            note("Networks are retrained one at a time: other processes cannot have the objects handed over.")
    return resolve(plugins, [{"run": {"threads": cores, "jobs": jobs}}, *layers])
