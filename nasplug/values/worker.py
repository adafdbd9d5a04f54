"""What processes that train, and those that start them, have in common. It imports no torch."""

from __future__ import annotations

import signal
import sys
import threading

STOPPING = (signal.SIGINT, signal.SIGTERM, *(() if sys.platform == "win32" else (signal.SIGHUP,)))
"""The signals that stop a program."""

stop_requested = threading.Event()
"""Set in a process that is to end, such as by SIGTERM: its training stops at the next step, with everything saved."""


class WorkerLost(Exception):
    """A process ended before its training; the training goes on at its last checkpoint in another one.

    `reason` completes a sentence such as "A process that trained a network ...", such as "was killed by SIGKILL", and
    `remedy`, where there is one, "...; lower --jobs, or go on with: nasplug resume RUN".
    """

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason, remedy)
        self.reason, self.remedy = reason, remedy
