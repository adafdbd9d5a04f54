"""A process that trains networks for a run, one after the other, as its parent orders.

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
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from nasplug.errors import NasplugError, RunFailure
from nasplug.runs.signals import EXIT_CODES

READY = "ready"
"""What a worker sends when it has nothing to do."""

Task = dict[str, Any] | None
"""What its parent sends: a training task as plain data, or None to stop at the next step."""


def run_worker(run: str, objects: bytes, parent: Connection[Any, Task]) -> None:
    """The main function of a worker: trains networks until its parent has no more, or asks it to stop.

    `objects` is a pickle of the objects of the program by slot. A failure is sent to the parent.
    """
    orders = Orders(parent)
    _handle_signals(orders)
    # Here, because these import torch.
    import torch

    from nasplug.plugins import load_plugins
    from nasplug.plugins.attribution import attribute_error
    from nasplug.plugins.program_objects import add_objects
    from nasplug.runs.context import reopen_context
    from nasplug.runs.memory import keep_freed_memory
    from nasplug.runs.retrain import train_task
    from nasplug.runs.training import Stopped
    from nasplug.runs.training_task import TrainingTask
    from nasplug.runs.workers import phase_journal
    from nasplug.store.events import ignore_event
    from nasplug.store.run_folder import RunFolder

    torch.set_num_threads(1)
    keep_freed_memory()
    plugins = load_plugins(quiet=True)
    try:
        plugins = add_objects(plugins, pickle.loads(objects))  # noqa: S301 - from the parent
        plugins.silence_observers()  # the parent passes the events on that it reads in the journals
        context = reopen_context(RunFolder(Path(run)), plugins)
        for order in orders:
            task = TrainingTask.from_dict(order)
            journal = phase_journal(context, task.phase, ignore_event)
            for _ in train_task(context, task, journal, orders.should_stop):
                pass
    except Stopped:
        pass
    except NasplugError as error:
        parent.send(error)
    except Exception as error:
        sentence = attribute_error(error, plugins)
        if sentence is None:
            raise
        parent.send(RunFailure(f"{sentence} Its author has to fix that."))


class Orders:
    """What the parent of a worker sends, received in a thread of its own; it ends the process if the parent is gone."""

    def __init__(self, parent: Connection[Any, Task]) -> None:
        self._parent = parent
        self._tasks: SimpleQueue[Task] = SimpleQueue()
        self._halt = threading.Event()
        self._is_ready = False
        threading.Thread(target=self._listen, daemon=True).start()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Asks for tasks until there are no more."""
        self._is_ready = True
        while not self._halt.is_set():
            self._parent.send(READY)
            task = self._tasks.get()
            if task is None:
                return
            yield task

    def should_stop(self) -> bool:
        """Whether the worker must stop at this step."""
        return self._halt.is_set()

    def halt(self) -> None:
        """Stops the worker at its next step."""
        self._halt.set()
        self._tasks.put(None)

    def _listen(self) -> None:
        try:
            while True:
                task = self._parent.recv()
                if task is not None:
                    self._tasks.put(task)
                elif self._is_ready:
                    self.halt()
                else:  # nothing was begun, so there is nothing to save
                    os._exit(0)
        except (EOFError, OSError):
            os._exit(1)


def _handle_signals(orders: Orders) -> None:
    """Leaves signals to the parent, which gets them too when they go to a whole terminal; SIGTERM to this one halts it.

    The process is born with signals blocked (see `blocked_signals`), so that none ends it before this.
    """
    for number in EXIT_CODES:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: orders.halt())
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, EXIT_CODES)
