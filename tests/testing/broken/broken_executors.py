"""Executors, each of which breaks the check that it is named after, and no other."""

from __future__ import annotations

from concurrent.futures import Executor, Future, ThreadPoolExecutor

import attrs

from nasplug.hookspecs import hookimpl
from nasplug.parts import TrainingExecutor


class Silent(Executor):
    def submit(self, function, /, *arguments, **named):
        future = Future()
        future.set_result(None)
        return future


@attrs.frozen
class ForgetsResults(TrainingExecutor):
    def open(self, workload):
        return Silent()


@attrs.frozen
class Greedy(TrainingExecutor):
    def workers(self, workload):
        return workload.jobs + 1

    def open(self, workload):
        return ThreadPoolExecutor(self.workers(workload))


@hookimpl
def nasplug_register(register):
    for name, target in {"carries-out-calls": "ForgetsResults", "carries-out-calls.many": "Greedy"}.items():
        register.executor(name, f"broken_executors:{target}", summary=f"Breaks {name}.")
