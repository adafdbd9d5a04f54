"""A `concurrent.futures.Executor` of jobs that submitit submits."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

import attrs
import submitit

from nasplug.values.worker import WorkerLost

P = ParamSpec("P")
T = TypeVar("T")

POLL_SECONDS = 1.0
"""Time between two looks at the files that jobs leave. The cluster is asked at most once a minute, by submitit."""


@attrs.frozen
class Resumable:
    """A function that can be called again with the same arguments when its job has gone back into the queue."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]

    def __call__(self) -> Any:
        """What the job does."""
        return self.function(*self.arguments, **self.keywords)

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What it does after it was interrupted: the same, since trainings go on at their checkpoints."""
        return submitit.helpers.DelayedSubmission(self)


class JobExecutor(Executor):
    """Calls as jobs of `jobs`, whose scripts and logs in `folder` are kept only if a job was lost or is left."""

    def __init__(self, jobs: submitit.Executor, folder: Path) -> None:
        self._jobs = jobs
        self._folder = folder
        self._under_way: dict[Future[Any], submitit.Job[Any]] = {}
        self._changed = threading.Condition()
        self._is_closed = False
        self._keeps_logs = False
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Has the function called in a job; see `concurrent.futures.Executor`."""
        future = Future[T]()
        with self._changed:
            if self._is_closed:
                raise RuntimeError("no call can be submitted to an executor that was shut down")
            self._under_way[future] = self._jobs.submit(Resumable(function, args, dict(kwargs)))
            self._changed.notify()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls; see `concurrent.futures.Executor`."""
        with self._changed:
            self._is_closed = True
            futures = list(self._under_way)
            self._changed.notify()
        if cancel_futures:
            for future in futures:
                future.cancel()
        if wait:
            self._thread.join()
            if not self._keeps_logs:
                shutil.rmtree(self._folder, ignore_errors=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            with self._changed:
                for job in self._under_way.values():
                    job.cancel(check=False)
            self.shutdown(wait=False)
        else:
            self.shutdown()

    def _watch(self) -> None:
        """Waits for the end of jobs; the main function of a thread."""
        while True:
            with self._changed:
                if not self._under_way:
                    if self._is_closed:
                        return
                    self._changed.wait()
                jobs = dict(self._under_way)
            for future, job in jobs.items():
                self._look(future, job)
            wait(jobs, POLL_SECONDS)

    def _look(self, future: Future[Any], job: submitit.Job[Any]) -> None:
        """Brings a future up to what is known of its job."""
        if not future.running() and not future.done() and job.paths.stdout.exists():  # SLURM has started it
            future.set_running_or_notify_cancel()
        if future.cancelled():
            job.cancel(check=False)
        elif not job.done():
            return
        with self._changed:
            del self._under_way[future]
        if not future.cancelled() and (future.running() or future.set_running_or_notify_cancel()):
            self._finish(future, job)

    def _finish(self, future: Future[Any], job: submitit.Job[Any]) -> None:
        try:
            future.set_result(job.result())
        except submitit.core.utils.FailedJobError:  # the function has raised something
            self._keeps_logs = True
            future.set_exception(WorkerLost(f"ended with an error, which is in '{job.paths.stderr}'"))
        except Exception:
            self._keeps_logs = True
            state = ""
            with suppress(Exception):
                state = f" (state {job.state})"
            future.set_exception(WorkerLost(f"was ended by the cluster{state}, whose log is '{job.paths.stderr}'"))
