"""A `concurrent.futures.Executor` of Ray tasks.

Ray ends the process of a program whose cluster has lost its head. So the program that Ray knows, its driver, is a
process of its own, to which this one sends calls through a pipe.
"""

from __future__ import annotations

import multiprocessing
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from nasplug.parts.child_processes import blocked_signals, hidden_main_program
from nasplug.values.worker import WorkerLost
from nasplug_ray.driver import Answer, drive

P = ParamSpec("P")
T = TypeVar("T")


class RayExecutor(Executor):
    """Calls as tasks of the cluster at `address`, each with `cpus` cores and `gpus` GPUs.

    Raises ConnectionError if there is no such cluster, or none can be started.
    """

    def __init__(self, address: str, cpus: int, gpus: float) -> None:
        self._lock = threading.Lock()
        self._futures: dict[int, Future[Any]] = {}
        self._count = 0
        self._is_closed = False
        spawn = multiprocessing.get_context("spawn")
        self._driver, other = spawn.Pipe()
        self._process = spawn.Process(target=drive, args=(other, address, cpus, gpus))
        with hidden_main_program(), blocked_signals():
            self._process.start()
        other.close()
        try:
            failure = self._driver.recv()
        except (EOFError, OSError):
            failure = "its program has ended; its error is above"
        except KeyboardInterrupt:
            self._process.kill()
            raise
        if failure is not None:
            self._process.join()
            raise ConnectionError(failure)
        self._thread = threading.Thread(target=self._take_answers, daemon=True)
        self._thread.start()

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Has the function called in a task; see `concurrent.futures.Executor`."""
        call, future = pickle.dumps((function, args, kwargs)), Future[T]()
        with self._lock:
            if self._is_closed:
                raise ConnectionError("the connection to Ray has ended; its head may be gone")
            number, self._count = self._count, self._count + 1
            self._futures[number] = future
            with suppress(OSError):  # then the thread finds that the driver is gone
                self._driver.send((number, call))
        future.add_done_callback(lambda done: self._cancel(number) if done.cancelled() else None)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leaves the cluster when all calls have ended, and ends one that was started here."""
        with self._lock:
            self._is_closed = True
            futures = list(self._futures.values())
        if cancel_futures:
            for future in futures:
                future.cancel()
        with suppress(OSError):
            self._driver.send(None)
        if wait:
            self._thread.join()
            self._process.join()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._driver.close()  # the driver ends its tasks with itself
            self._process.join()
        else:
            self.shutdown()

    def _cancel(self, number: int) -> None:
        with self._lock, suppress(OSError):
            self._driver.send((number, None))

    def _take_answers(self) -> None:
        """The main function of the thread that hears of the end of calls."""
        try:
            while True:
                self._finish(self._driver.recv())
        except (EOFError, OSError):
            with self._lock:
                self._is_closed = True
                left = list(self._futures)
            for number in left:
                self._finish(Answer(number, error=WorkerLost("was lost with the connection to Ray")))

    def _finish(self, answer: Answer) -> None:
        with self._lock:
            future = self._futures.pop(answer.number)
        if future.set_running_or_notify_cancel():
            if answer.error is None:
                future.set_result(answer.value)
            else:
                future.set_exception(answer.error)
