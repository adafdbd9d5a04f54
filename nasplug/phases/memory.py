"""The memory of a process that trains: what one step frees is kept for the next one."""

from __future__ import annotations

import ctypes
import os

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt`."""
ALWAYS_KEPT, LARGEST = (1 << 31) - 1, 32 << 20
"""Bytes that may lie idle before they are given back; bytes of the largest block that is kept, glibc's limit."""


def keep_freed_memory() -> bool:
    """Tells glibc to keep memory that is freed, and says whether it will.

    A step frees hundreds of megabytes and takes them again at once. As a rule glibc gives them back in between, and the
    system fills every page with zeros when it is touched again: 8 to 10 % of a step on a CPU. It holds for the whole
    process, so only commands and workers ask for it. Other libraries of C are left alone, and so is glibc where the
    environment says how it is to allocate.
    """
    chosen = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
    if os.name != "posix" or any(name in os.environ for name in chosen):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(TRIM_THRESHOLD, ALWAYS_KEPT) and mallopt(MMAP_THRESHOLD, LARGEST))
