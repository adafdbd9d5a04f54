"""What a process of `ProcessExecutor` does: the calls that it gets from its parent, one after the other.

This module is what such a process imports first. It imports no torch, which takes seconds: the process listens to its
parent from its first moment, and ends at once when the parent is gone, however that ended. Otherwise it might write to
a run that was resumed meanwhile.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

import attrs

from nasplug.values.worker import STOPPING, stop_requested

LEAVE = b""
"""What the parent sends when there are no more calls; everything else is a pickle of a function and its arguments."""


@attrs.frozen
class Answer:
    """What the parent gets for a call."""

    value: Any = None
    error: Exception | None = None
    """What the function has raised; then there is no value."""
    leaves: bool = False
    """Whether the process takes no more calls."""


def serve(parent: Connection[Answer, bytes], environment: Mapping[str, str]) -> None:
    """The main function of the process, which sets these variables of its environment first."""
    os.environ.update(environment)
    calls: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(parent, calls), daemon=True).start()
    _handle_signals(calls)
    while (call := calls.get()) != LEAVE:
        try:
            function, arguments, keywords = pickle.loads(call)  # noqa: S301 - from the parent
            answer = Answer(function(*arguments, **keywords))
        except Exception as error:
            answer = Answer(error=error)
        parent.send(attrs.evolve(answer, leaves=stop_requested.is_set()))


def _listen(parent: Connection[Answer, bytes], calls: SimpleQueue[bytes]) -> None:
    try:
        while True:
            calls.put(parent.recv_bytes())
    except (EOFError, OSError):
        os._exit(1)


def _handle_signals(calls: SimpleQueue[bytes]) -> None:
    """Leaves signals to the parent, which gets them too when they go to a whole terminal; SIGTERM to this one ends it.

    The process is born with signals blocked (see `blocked_signals`), so that none ends it before this.
    """

    def leave(*_: object) -> None:
        stop_requested.set()
        calls.put(LEAVE)

    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, leave)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
