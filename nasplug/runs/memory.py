"""The memory of a process that trains: what one step frees is kept for the next one."""

from __future__ import annotations

import ctypes
import os

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt`."""
IDLE, LARGEST = (1 << 31) - 1, 32 << 20
"""Bytes that may lie idle before they are given back; bytes of the largest block that is kept, glibc's limit."""


def keep_freed_memory() -> bool:
    """Makes glibc keep memory that is freed; returns whether it does.

    A step frees hundreds of megabytes and takes them again at once. As a rule glibc gives them back in between, and the
    system fills every page with zeros when it is touched again: 8 to 10 % of a step on a CPU. It holds for the whole
    process, so only commands and workers ask for it. Other C libraries are left alone, and so is glibc where variables
    of the environment (`MALLOC_...`, `GLIBC_TUNABLES` about malloc) say how it is to allocate.
    """
    chosen = any(name.startswith("MALLOC_") for name in os.environ)
    if chosen or "glibc.malloc." in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no such function here, or no such way to ask for it
        return False
    return bool(mallopt(MMAP_THRESHOLD, LARGEST) and mallopt(TRIM_THRESHOLD, IDLE))
