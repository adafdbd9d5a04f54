"""A `concurrent.futures.Executor` of processes that stay, each with one call at a time.

Unlike `concurrent.futures.ProcessPoolExecutor`, it goes on when one of them is killed, needs no shared memory, which
some containers do not have, and leaves no process behind when this one is killed.
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

import attrs

from nasplug.builtin.executors.worker_process import LEAVE, Answer, serve
from nasplug.parts.child_processes import blocked_signals, hidden_main_program
from nasplug.values.worker import WorkerLost

P = ParamSpec("P")
T = TypeVar("T")


@attrs.define(eq=False)
class _Worker:
    """A process, the connection to it, and the thread of this process that gives it calls."""

    environment: Mapping[str, str]
    process: BaseProcess
    connection: Connection[bytes, Answer]
    thread: threading.Thread | None = None


class ProcessExecutor(Executor):
    """One process for each of `environments`, variables that are added to its environment.

    A process that is lost fails its call with `WorkerLost`, and another one takes its place at the next `submit`.
    """

    def __init__(self, environments: Sequence[Mapping[str, str]]) -> None:
        self._free = list(environments)
        self._workers: list[_Worker] = []
        self._calls: SimpleQueue[tuple[Future[Any], bytes] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._is_closed = False

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Has the function called in a process; see `concurrent.futures.Executor`."""
        call, future = pickle.dumps((function, args, kwargs)), Future[T]()
        with self._lock:
            if self._is_closed:
                raise RuntimeError("no call can be submitted to an executor that was shut down")
            while self._free:
                self._start(self._free.pop(0))
            self._calls.put((future, call))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Lets the processes leave after the calls that were submitted; see `concurrent.futures.Executor`."""
        with self._lock:
            self._is_closed = True
            workers = list(self._workers)
            if cancel_futures:
                for future in self._take_calls():
                    future.cancel()
            for _ in workers:
                self._calls.put(None)
        if wait:
            for worker in workers:
                _join(worker)

    def kill(self) -> None:
        """Ends every process at once."""
        with self._lock:
            self._is_closed = True
            workers = list(self._workers)
        for worker in workers:
            worker.process.kill()
            self._calls.put(None)
        for worker in workers:
            _join(worker)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None or not issubclass(kind, KeyboardInterrupt):
                self.shutdown()
        finally:  # reached with processes that are alive only if the user does not want to wait for them
            self.kill()

    def _start(self, environment: Mapping[str, str]) -> None:
        """Starts a process. Only `submit` does, in the thread of its caller: meanwhile there is no main program."""
        spawn = multiprocessing.get_context("spawn")
        if sys.platform != "win32":
            with blocked_signals():  # so that a closed terminal does not end the process that it starts
                resource_tracker.ensure_running()
        own, other = spawn.Pipe()
        # No daemon, which could not have processes of its own to decode images (data.workers).
        process = spawn.Process(target=serve, args=(other, dict(environment)))
        with hidden_main_program(), blocked_signals():
            process.start()
        other.close()
        worker = _Worker(environment, process, own)
        worker.thread = threading.Thread(target=self._give_calls, args=(worker,), daemon=True)
        self._workers.append(worker)
        worker.thread.start()

    def _give_calls(self, worker: _Worker) -> None:
        """Gives one call after the other to a process, until it has left; the main function of its thread."""
        while (item := self._calls.get()) is not None:
            future, call = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                worker.connection.send_bytes(call)
                answer = worker.connection.recv()
            except (EOFError, OSError):  # its process has ended
                worker.process.join()
                lost = _describe_end(worker.process.exitcode or 0)
                self._remove(worker, lost)
                future.set_exception(lost)
                return
            if answer.leaves:
                self._remove(worker, _describe_end(0))
            if answer.error is not None:
                future.set_exception(answer.error)
            else:
                future.set_result(answer.value)
            if answer.leaves:
                return
        with suppress(OSError):
            worker.connection.send_bytes(LEAVE)
        worker.process.join()
        worker.connection.close()

    def _remove(self, worker: _Worker, lost: WorkerLost) -> None:
        """Frees the place of a process that has ended or leaves. If none is left, queued calls are lost with it."""
        with self._lock:
            self._workers.remove(worker)
            self._free.append(worker.environment)
            if not self._workers:
                for future in self._take_calls():
                    if future.set_running_or_notify_cancel():
                        future.set_exception(lost)

    def _take_calls(self) -> list[Future[Any]]:
        """The futures of all calls that no process has got yet, which are taken from the queue."""
        futures = []
        try:
            while True:
                if (item := self._calls.get_nowait()) is not None:
                    futures.append(item[0])
        except Empty:
            return futures


def _join(worker: _Worker) -> None:
    if worker.thread is not None:
        worker.thread.join()
    worker.process.join()


def _describe_end(code: int) -> WorkerLost:
    """How a process has ended that had not answered, by its exit code."""
    if code < 0:
        how, is_killed = f"was killed by {signal.Signals(-code).name}", -code == getattr(signal, "SIGKILL", 0)
        return WorkerLost(f"{how}, perhaps for lack of memory", "lower --jobs") if is_killed else WorkerLost(how)
    if code > 0:
        return WorkerLost(f"ended with code {code}; its error is above")
    return WorkerLost("ended before that was finished")
