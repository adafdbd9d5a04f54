"""The memory of a process: when it is given back, and when garbage is looked for."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""Parameters of glibc's `mallopt`."""
IDLE = (1 << 31) - 1
"""Bytes that may lie idle before they are given back."""


def keep_freed_memory() -> bool:
    """Makes glibc keep memory that is freed; returns whether it does.

    A step frees hundreds of megabytes and takes them again at once. As a rule glibc gives them back in between, and the
    system fills every page with zeros when it is touched again: 8 to 10 % of a step on a CPU, and a quarter of one
    where single maps have 32 MiB or more. So no block gets a mapping of its own, however large. It holds for the whole
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
    return bool(mallopt(MMAP_MAX, 0) and mallopt(TRIM_THRESHOLD, IDLE))


@contextmanager
def paused_collection() -> Iterator[None]:
    """No garbage is collected in the block: for imports and other short work that makes objects and throws few away.

    The collector looks at all objects again and again while their number grows: a fifth of the time that it takes to
    import torch and torch.export.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
