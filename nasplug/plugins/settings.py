"""The user's settings for plugins: which to load, which to leave out, and how to treat broken ones."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import attrs

from nasplug.formats.regular_file import expand_home

STRICT = "NASPLUG_STRICT"
"""Set to 1, a broken plugin is an error: for authors and for tests."""
WITHOUT = "NASPLUG_WITHOUT"
"""Plugins to leave out, by distribution or entry point, with commas between them."""
PLUGIN = "NASPLUG_PLUGIN"
"""Files and package folders to load as plugins without installing them, separated like the entries of PATH."""
OBSERVE = "NASPLUG_OBSERVE"
"""Observers that are asked for, by entry point or distribution, with commas between them."""
TRACE = "NASPLUG_TRACE"
"""Set to 1, every call of a hook is printed on stderr."""


@attrs.frozen
class Settings:
    """Settings for plugins, one field for each of the variables above.

    The command line stores them in the environment, so that worker processes load the same plugins.
    """

    strict: bool = False
    """Whether a broken plugin is an error."""
    without: tuple[str, ...] = ()
    """Distributions and entry points to leave out."""
    paths: tuple[Path, ...] = ()
    """Files and package folders to load as plugins."""
    observe: tuple[str, ...] = ()
    """Observers that are asked for; those that watch every run need not be."""
    trace: bool = False
    """Whether every call of a hook is printed."""

    @classmethod
    def from_environment(cls) -> Self:
        """Reads NASPLUG_STRICT, NASPLUG_WITHOUT, NASPLUG_PLUGIN, NASPLUG_OBSERVE and NASPLUG_TRACE."""
        return cls(
            strict=is_switched_on(STRICT),
            without=read_names(WITHOUT),
            observe=read_names(OBSERVE),
            paths=tuple(expand_home(word) for word in os.environ.get(PLUGIN, "").split(os.pathsep) if word),
            trace=is_switched_on(TRACE),
        )

    def to_environment(self) -> Mapping[str, str]:
        """The variables from which `from_environment` reads the same names and paths, in any directory."""
        paths = os.pathsep.join(str(expand_home(path).absolute()) for path in self.paths)
        return {WITHOUT: ",".join(self.without), OBSERVE: ",".join(self.observe), PLUGIN: paths}


def read_names(variable: str) -> tuple[str, ...]:
    """The names in an environment variable, with commas between them."""
    return tuple(filter(None, (word.strip() for word in os.environ.get(variable, "").split(","))))


def is_switched_on(variable: str) -> bool:
    """Whether an environment variable is set to anything but 0, false, no, off or nothing."""
    return os.environ.get(variable, "").strip().lower() not in ("", "0", "false", "no", "off")
