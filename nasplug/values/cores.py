"""How many cores there are to compute on."""

from __future__ import annotations

import os


def count_cores() -> int:
    """The cores that this process may use, as far as the system says."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
