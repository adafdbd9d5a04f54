"""The two hooks. Hooks are for discovery and observation; algorithms are objects (see `nasplug.parts`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from nasplug.plugins.register import Register

GROUP = "nasplug"
"""The entry-point group, and pluggy's project name."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)
"""Marks the hooks of a plugin. A parameter of a hookimpl must have no default: pluggy would never fill it."""


@hookspec
def nasplug_register(register: Register) -> None:
    """Called once, to register parts, methods and data sets by name and import path; imports nothing heavy."""


@hookspec
def nasplug_event(run: Path, event: Mapping[str, Any]) -> None:
    """Called after an event of the run in folder `run` is on disk: to watch, not to steer."""
