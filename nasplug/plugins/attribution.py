"""Attributes unexpected errors to the plugins in whose code they arose."""

from __future__ import annotations

import traceback
from pathlib import Path

from nasplug.errors import one_line
from nasplug.plugins.lookup import Plugins
from nasplug.plugins.plugin import HOST

LOADER_PACKAGES = ("importlib", "pluggy", "nasplug")
"""Packages that load plugins; their frames are skipped when the location of a failure is looked for."""


def attribute_error(error: BaseException, plugins: Plugins) -> str | None:
    """A sentence that names the plugin in whose code an error was raised, or through which it passed, and the location.

    None if no frame of the traceback is in a plugin other than the core's own.
    """
    owners = {
        registration.target.partition(":")[0].partition(".")[0]: plugin
        for plugin in plugins.all
        for registration in plugin.registers
        if plugin.distribution != HOST
    }
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        plugin = owners.get(str(frame.f_globals.get("__name__", "")).partition(".")[0])
        if plugin is not None:
            location = f"{Path(frame.f_code.co_filename).name}, line {line} ({frame.f_code.co_name})"
            return f"{plugin.distribution} {plugin.version} broke in {location}: {one_line(error)}."
    return None


def error_location(error: BaseException) -> str:
    """File and line at which loading a plugin failed, as the end of a sentence; empty if none is outside the loader."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] not in LOADER_PACKAGES:
            return f" ({Path(frame.f_code.co_filename).name}, line {line})"
    return ""
