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
    trace: bool = False
    """Whether every call of a hook is printed."""

    @classmethod
    def from_environment(cls) -> Self:
        """Reads NASPLUG_STRICT, NASPLUG_WITHOUT, NASPLUG_PLUGIN and NASPLUG_TRACE."""
        return cls(
            strict=is_switched_on(STRICT),
            without=tuple(filter(None, (word.strip() for word in os.environ.get(WITHOUT, "").split(",")))),
            paths=tuple(expand_home(word) for word in os.environ.get(PLUGIN, "").split(os.pathsep) if word),
            trace=is_switched_on(TRACE),
        )

    def to_environment(self) -> Mapping[str, str]:
        """The variables from which `from_environment` reads the same `paths` and `without`, in any directory."""
        paths = os.pathsep.join(str(expand_home(path).absolute()) for path in self.paths)
        return {WITHOUT: ",".join(self.without), PLUGIN: paths}


def is_switched_on(variable: str) -> bool:
    """Whether an environment variable is set to anything but 0, false, no, off or nothing."""
    return os.environ.get(variable, "").strip().lower() not in ("", "0", "false", "no", "off")
