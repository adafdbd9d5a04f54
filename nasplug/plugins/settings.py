"""What a user says about plugins, apart from installing them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import attrs

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
    """Which plugins to load besides the installed ones, which to leave out, and how loud to be.

    The command line keeps them in the environment, so that worker processes load the same plugins.
    """

    strict: bool = False
    without: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()
    trace: bool = False

    @classmethod
    def from_environment(cls) -> Self:
        """What NASPLUG_STRICT, NASPLUG_WITHOUT, NASPLUG_PLUGIN and NASPLUG_TRACE say."""
        return cls(
            strict=is_switched_on(STRICT),
            without=tuple(filter(None, (word.strip() for word in os.environ.get(WITHOUT, "").split(",")))),
            paths=tuple(Path(word).expanduser() for word in os.environ.get(PLUGIN, "").split(os.pathsep) if word),
            trace=is_switched_on(TRACE),
        )

    def to_environment(self) -> Mapping[str, str]:
        """The variables under which `from_environment` gives the same paths and names, from any working directory."""
        paths = os.pathsep.join(str(path.expanduser().absolute()) for path in self.paths)
        return {WITHOUT: ",".join(self.without), PLUGIN: paths}


def is_switched_on(variable: str) -> bool:
    """Whether an environment variable says yes: anything but 0, false, no, off or nothing."""
    return os.environ.get(variable, "").strip().lower() not in ("", "0", "false", "no", "off")
