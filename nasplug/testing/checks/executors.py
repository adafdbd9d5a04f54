"""Checks of executors: calls are carried out, and what comes of them is the caller's to see."""

from __future__ import annotations

import operator
import tempfile
from pathlib import Path

from nasplug.errors import InputError
from nasplug.parts import TrainingExecutor, Workload
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.outcome import NotApplicable, require
from nasplug.values.options import build

SECONDS = 300
"""After which a call counts as lost."""


@check("executor")
def carries_out_calls(case: Case) -> None:
    """An opened executor gives the results of the functions that are submitted, as many as `workers` at once.

    A run waits for each of them.
    """
    try:
        executor: TrainingExecutor = build(case.target, case.options.get(case.title, {}), case.title)
        executor.check()
    except InputError as error:
        raise NotApplicable(f"it cannot be opened here: {error}") from error
    with tempfile.TemporaryDirectory() as folder:
        workload = Workload(2, "cpu", Path(folder).resolve() / "run")
        count = executor.workers(workload)
        require(0 <= count <= workload.jobs, f"workers() is {count} for 2 jobs", "return at most workload.jobs")
        with executor.open(workload) as pool:
            futures = [pool.submit(operator.add, number, 1) for number in range(2)]
            results = [future.result(timeout=SECONDS) for future in futures]
    require(results == [1, 2], f"two calls give {results!r:.60}", "return what the functions return, in their futures")
