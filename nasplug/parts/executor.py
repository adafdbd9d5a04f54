"""Executors: by what the independent trainings of a run are carried out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from pathlib import Path

import attrs


@attrs.frozen
class Workload:
    """What an executor is opened for."""

    jobs: int
    """The most trainings that are wanted at once (the option `run.jobs`)."""
    device: str
    """Where the program that asks for them computes: "cpu", "cuda" or, if one was named, "cuda:N"."""
    folder: Path
    """The folder of the run, absolute, which all machines see. Files of the executor belong beside it, not in it."""


class TrainingExecutor(ABC):
    """A way to carry out trainings that do not depend on one another, on this machine or on others.

    An attrs class without state. What it opens is a `concurrent.futures.Executor`: nasplug submits functions that
    can be pickled by their import path, with plain arguments, and never more than `workers` at once. They open the run
    folder, which therefore has to lie on a file system that all machines see, under the same path. Each has a process
    for itself while it runs. Results do not depend on the executor, so it is no part of what a run is.
    """

    @property
    def threads(self) -> int:
        """CPU threads of each training; by default 1. Another number may change the last digits of results."""
        return 1

    def workers(self, workload: Workload) -> int:
        """How many trainings are to be submitted at once, by default `workload.jobs`.

        0: none is submitted; they are carried out one after the other in the process of the run.
        """
        return workload.jobs

    def check(self) -> None:
        """Raises InputError if this executor cannot be opened here, such as for a program that is missing.

        Called before a run starts, so that nobody hears of it after hours of search; it should take no time.
        """

    @abstractmethod
    def open(self, workload: Workload) -> AbstractContextManager[Executor]:
        """An executor for the block, which ends it, and frees what it has taken, however the block is left.

        When the block is left by KeyboardInterrupt, it must not wait for calls that are under way. Futures of calls
        that were lost with their processes, machines or jobs raise `WorkerLost`, or any other exception; nasplug
        submits those calls again, as often as `run.retries` says.
        """
