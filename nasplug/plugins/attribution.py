"""Where an unexpected error comes from."""

from __future__ import annotations

import traceback
from pathlib import Path

from nasplug.errors import one_line
from nasplug.plugins.installed import Plugins
from nasplug.plugins.plugin import HOST

LOADING = ("importlib", "pluggy", "nasplug")
"""Packages through which a plugin is loaded; an error that is raised in them is not theirs."""


def attribute_error(error: BaseException, plugins: Plugins) -> str | None:
    """Which plugin's code an error was raised in, or passed through, and where; None if in nobody's but nasplug's."""
    owners = {
        registration.target.partition(":")[0].partition(".")[0]: plugin
        for plugin in plugins.all
        for registration in plugin.registers
        if plugin.distribution != HOST
    }
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        plugin = owners.get(str(frame.f_globals.get("__name__", "")).partition(".")[0])
        if plugin is not None:
            place = f"{Path(frame.f_code.co_filename).name}, line {line} ({frame.f_code.co_name})"
            return f"{plugin.distribution} {plugin.version} broke in {place}: {one_line(error)}."
    return None


def error_location(error: BaseException) -> str:
    """File and line in which loading a plugin failed, as the end of a sentence; empty if in no file of its own."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] not in LOADING:
            return f" ({Path(frame.f_code.co_filename).name}, line {line})"
    return ""
