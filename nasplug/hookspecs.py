"""The hooks of plugins: one registers, two observe. Algorithms are parts (see `nasplug.parts`), not hooks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pluggy

from nasplug.register import Register

GROUP = "nasplug"
"""The entry-point group of plugins, and the project name for pluggy."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)
"""Marks the hook implementations of a plugin. Their parameters must have no defaults: pluggy would never fill these."""


@hookspec
def nasplug_register(register: Register) -> None:
    """Registers parts, methods and data sets by name and import path.

    Called once per process, when plugins are loaded. It must be fast, so it must not import torch or the parts.
    """


@hookspec
def nasplug_event(run: Path, event: Mapping[str, Any]) -> None:
    """Observes a run; called after each event of the run in folder `run` has been written to disk.

    `event` is a copy of the line in `events.jsonl` as plain data. The events of all phases of a run come in the process
    that carries it out, also of those that other processes train. An observer cannot influence the run; one that raises
    is named on stderr and not called again in this run.
    """


@hookspec
def nasplug_end(run: Path) -> None:
    """Called when the run in folder `run` is left: finished, stopped or broken, as `status` in its `result.json` says.

    A run that is resumed is left once more. Exceptions are treated as those of `nasplug_event`.
    """
