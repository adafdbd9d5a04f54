"""Where files are kept that can be made again: measurements of this machine, for instance."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nasplug.formats.regular_file import expand_home

CACHE = "NASPLUG_CACHE"
"""Environment variable: the folder to use instead of the system's."""


def cache_folder() -> Path:
    """The folder of nasplug's cache; it need not exist.

    It is what NASPLUG_CACHE says, or else `nasplug` in the user's cache directory: that of XDG_CACHE_HOME or ~/.cache,
    on macOS ~/Library/Caches, on Windows that of LOCALAPPDATA.
    """
    if own := os.environ.get(CACHE):
        return expand_home(own)
    if sys.platform == "win32":
        parent = os.environ.get("LOCALAPPDATA") or expand_home("~/AppData/Local")
    elif sys.platform == "darwin":
        parent = expand_home("~/Library/Caches")
    else:
        parent = os.environ.get("XDG_CACHE_HOME") or expand_home("~/.cache")
    return Path(parent) / "nasplug"
