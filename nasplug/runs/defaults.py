"""The recipe of a new run: what a user asks for, over defaults that depend on the machine."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch

from nasplug.compose import OptionLayer, resolve
from nasplug.compose.executors import LOCAL
from nasplug.plugins import Plugins
from nasplug.plugins.hook_calls import note
from nasplug.plugins.program_objects import objects_for_workers
from nasplug.runs.device import find_device
from nasplug.values.cores import count_cores
from nasplug.values.recipe import EXECUTOR, Recipe
from nasplug.values.torchrun import count_ranks

MAX_DEFAULT = 8
"""Most threads or processes that are used by default."""


def resolve_recipe(plugins: Plugins, layers: Sequence[OptionLayer]) -> Recipe:
    """The recipe that `layers` ask for (earlier ones weaker); InputError for what cannot be had."""
    jobs = _default_jobs(layers)
    if objects_for_workers(plugins) is None or count_ranks() > 1:
        jobs = 1
    return resolve(plugins, [{"run": {"threads": _default_threads(), "jobs": jobs}}, *layers])


def note_jobs(plugins: Plugins, layers: Sequence[OptionLayer]) -> None:
    """Prints a note where a run gets one job by default only because it uses objects of the program."""
    asked = any("jobs" in layer.get("run", {}) for layer in layers)
    if not asked and objects_for_workers(plugins) is None and _default_jobs(layers) > 1:
        note("Networks are retrained one at a time: other processes cannot have the objects handed over.")


def _default_jobs(layers: Sequence[OptionLayer]) -> int:
    """As many retrainings as there are cores or GPUs, and MAX_DEFAULT with another executor than the local one."""
    asked = [layer["run"]["device"] for layer in layers if "device" in layer.get("run", {})]
    device = find_device(str(asked[-1]) if asked else "auto")
    named = [layer[EXECUTOR]["part"] for layer in layers if "part" in layer.get(EXECUTOR, {})]
    if named and named[-1] != LOCAL:
        return MAX_DEFAULT
    if device.type == "cpu":
        return _default_count()
    return 1 if device.index is not None else min(torch.cuda.device_count(), MAX_DEFAULT)


def _default_threads() -> int:
    """The value of OMP_NUM_THREADS, or else the number of cores: more threads than cores are slower than one."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(int(asked), MAX_DEFAULT) if asked.isdecimal() and len(asked) < 5 and int(asked) else _default_count()


def _default_count() -> int:
    return min(count_cores(), MAX_DEFAULT)
