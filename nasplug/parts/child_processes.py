"""Starting processes that compute for this one, such that nothing of its surroundings disturbs them."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from nasplug.values.worker import STOPPING


@contextmanager
def blocked_signals() -> Iterator[None]:
    """Signals wait until the end of the block; processes that start inside are born with them blocked.

    On Windows, which has no such thing, the block just runs.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def hidden_main_program() -> Iterator[None]:
    """Processes that start inside the block do not import the main program of this one.

    They need nothing of the main program; a script that calls `nasplug.search` would start the same search in each.
    """
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program
