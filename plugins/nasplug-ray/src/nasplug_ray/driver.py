"""The process that Ray knows as its driver: it has calls carried out as tasks, and passes on what comes of them."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import attrs

from nasplug.errors import one_line
from nasplug.values.worker import STOPPING, WorkerLost

MOST_WORDS = 300
"""Letters of an error of Ray that are passed on: it writes whole pages."""


@attrs.frozen
class Answer:
    """What came of a call."""

    number: int
    value: Any = None
    error: Exception | None = None


Message = tuple[int, bytes | None] | None
"""What the parent sends: number and pickle of a call, a number alone to cancel that call, or None for the end."""


def drive(parent: Connection[Any, Message], address: str, cpus: int, gpus: float) -> None:
    """The main function of the process. It sends None when Ray is there, or else a sentence, then answers."""
    for number in STOPPING:  # these are for the parent, which a terminal sends them, too
        signal.signal(number, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Under `uv run` Ray would have uv make an environment for each worker, from a copy of the working directory.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    os.environ.setdefault("RAY_agent_register_timeout_ms", "100000")  # its own 30 s are too few on a busy machine
    import ray  # here, because it takes seconds, and reads its settings from the environment

    try:
        ray.init(address=address or "local", include_dashboard=False if not address else None)
    except Exception as error:
        parent.send(one_line(error)[:MOST_WORDS])
        return
    task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(call)
    calls = _Calls(parent)
    parent.send(None)
    try:
        while (message := parent.recv()) is not None:
            number, content = message
            if content is None:
                calls.cancel(number)
            else:
                calls.add(number, task.remote(content))
        calls.wait()
    except (EOFError, OSError):  # the parent is gone, and with it whoever wants the results
        pass
    ray.shutdown()


def call(content: bytes) -> Any:
    """What a task does: calls a function."""
    function, arguments, keywords = pickle.loads(content)  # noqa: S301 - from the program that has asked for it
    return function(*arguments, **keywords)


class _Calls:
    """The tasks under way."""

    def __init__(self, parent: Connection[Any, Message]) -> None:
        self._parent = parent
        self._changed = threading.Condition()
        self._tasks: dict[int, Any] = {}

    def add(self, number: int, task: Any) -> None:
        """Has the end of a task passed on."""
        with self._changed:
            self._tasks[number] = task
        future: Future[Any] = task.future()
        future.add_done_callback(lambda done: self._answer(number, done))

    def cancel(self, number: int) -> None:
        """Cancels a task that has not begun; one that has stops by itself."""
        import ray

        with self._changed:
            task = self._tasks.get(number)
        if task is not None:
            ray.cancel(task, force=False, recursive=False)

    def wait(self) -> None:
        """Returns when every task has ended."""
        with self._changed:
            self._changed.wait_for(lambda: not self._tasks)

    def _answer(self, number: int, future: Future[Any]) -> None:
        error = future.exception()
        answer = Answer(number, future.result()) if error is None else Answer(number, error=_explain(error))
        with self._changed:
            with suppress(OSError):  # then the parent is gone, and the main thread ends everything
                self._parent.send(answer)
            del self._tasks[number]
            self._changed.notify_all()


def _explain(error: BaseException) -> Exception:
    """An error that the function has raised, as it is; one of Ray in words, of which it has many."""
    from ray.exceptions import OutOfMemoryError, RayTaskError, WorkerCrashedError

    if isinstance(error, OutOfMemoryError):
        return WorkerLost("was killed by Ray for lack of memory", "lower --jobs")
    if isinstance(error, WorkerCrashedError):
        return WorkerLost("was killed, perhaps for lack of memory", "lower --jobs")
    if not isinstance(error, RayTaskError):
        return WorkerLost(f"was lost by Ray ({one_line(error)[:MOST_WORDS]})")
    try:
        cause: Exception = pickle.loads(pickle.dumps(error.cause))  # noqa: S301 - written just now
    except Exception:
        return WorkerLost(f"was lost by an error ({one_line(error.cause)[:MOST_WORDS]})")
    return cause
