"""Programs in sessions of their own, so that every process that they start can be found."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def members(session: int) -> list[int]:
    """The processes of a session, without those that have ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, number, *_ = path.read_text().rpartition(")")[2].split()
            if int(number) == session and state != "Z":
                found.append(int(path.parent.name))
    return found


def wait_until_gone(session: int, seconds: float) -> float:
    """The seconds until no process of the session is left; fails if that takes longer than `seconds`."""
    started = time.monotonic()
    while left := members(session):
        waited = time.monotonic() - started
        if waited > seconds:
            lines = [Path(f"/proc/{number}/cmdline").read_bytes() for number in left]
            raise AssertionError(f"after {waited:.1f} s there is still {lines}")
        time.sleep(0.02)
    return time.monotonic() - started


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 300) -> None:
    """Waits until something is so, or the process has ended."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


def handles_signals(process: subprocess.Popen[str]) -> bool:
    """Whether the process has a handler for SIGTERM; before that it is not nasplug's yet, but Python's."""
    with suppress(OSError):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
    return False


def is_pending(process: subprocess.Popen[str]) -> bool:
    """Whether the process has not been given a signal yet; of several, the system gives the lowest number first."""
    with suppress(OSError):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith(("ShdPnd:", "SigPnd:")) and int(line.split()[1], 16):
                return True
    return False


def send(process: subprocess.Popen[str], number: int, to_all: bool) -> None:
    """Sends a signal to a process, or to all of its session, as a terminal does."""
    with suppress(ProcessLookupError):
        if to_all:
            os.killpg(process.pid, number)
        elif process.poll() is None:
            process.send_signal(number)
