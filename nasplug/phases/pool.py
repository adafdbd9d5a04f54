"""Independent phases beside each other: each in a process of its own, with one thread.

On two cores, two trainings at once give nearly twice the throughput of one training with two threads.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from nasplug.errors import NasplugError, RunFailure
from nasplug.phases.folder import RunFolder
from nasplug.phases.journal import Journal, read_events
from nasplug.phases.networks import Plan
from nasplug.phases.retraining import retrain
from nasplug.phases.stopping import Stop
from nasplug.phases.study import Study, reopen_study
from nasplug.phases.training import Progress, Stopped
from nasplug.plugins import load_plugins

POLL_SECONDS = 0.5


def retrain_all(study: Study, plans: Sequence[Plan], stop: Stop) -> Iterator[Progress]:
    """Trains every plan that is not finished, `jobs` of them at a time."""
    left = [plan for plan in plans if study.folder.done(plan.phase) is None]
    jobs = min(study.recipe.run.jobs, len(left))
    if study.recipe.run.jobs > 1:
        yield from _beside_each_other(study, left, jobs, stop)
        return
    for plan in left:
        yield from retrain(study, plan, phase_journal(study, plan), stop)


def phase_journal(study: Study, plan: Plan) -> Journal:
    """The journal of a phase that runs beside others; `gather` joins them."""
    folder = study.folder
    return Journal(folder.phase(plan.phase) / "events.jsonl", lambda event: study.plugins.notify(folder.path, event))


def _beside_each_other(study: Study, plans: Sequence[Plan], jobs: int, stop: Stop) -> Iterator[Progress]:
    context = multiprocessing.get_context("spawn")
    halt = context.Event()
    tasks: Any = context.Queue()
    answers: Any = context.Queue()
    # The largest first, so that no process is left alone with a long one at the end.
    for plan in sorted(plans, key=lambda plan: -plan.cost.macs):
        tasks.put(plan.to_dict())
    for _ in range(jobs):
        tasks.put(None)
    arguments = (str(study.folder.path.resolve()), tasks, answers, halt, os.getpid())
    workers = [context.Process(target=_work, args=arguments, daemon=True) for _ in range(jobs)]
    for worker in workers:
        worker.start()
    try:
        yield from _watch(study, plans, workers, answers, halt, stop)
    finally:
        halt.set()
        for worker in workers:
            worker.join()
    if stop():
        raise Stopped


def _watch(
    study: Study, plans: Sequence[Plan], workers: Sequence[BaseProcess], answers: Any, halt: Any, stop: Stop
) -> Iterator[Progress]:
    """Reports progress until every worker has ended; raises the first failure of any."""
    seen = dict.fromkeys((plan.phase for plan in plans), -1)
    while any(worker.is_alive() for worker in workers):
        time.sleep(POLL_SECONDS)
        if stop():
            halt.set()
        yield from _news(study, plans, seen)
        if not answers.empty():
            raise answers.get()
    yield from _news(study, plans, seen)
    if not answers.empty():
        raise answers.get()
    for worker in workers:
        if worker.exitcode != 0:
            raise RunFailure(
                f"A process that retrained a network ended with code {worker.exitcode}, perhaps for lack of memory; "
                f"lower --jobs, or go on with: nasplug resume {study.folder.path}"
            )


def _news(study: Study, plans: Sequence[Plan], seen: dict[str, int]) -> Iterator[Progress]:
    """A line of progress for every phase that went on since the last look, read off its journal."""
    steps_per_epoch = study.stream("", "", study.splits.train, study.recipe.retrain).steps_per_epoch
    total = steps_per_epoch * study.recipe.retrain.epochs
    for plan in plans:
        done = sum(1 for _ in read_events(study.folder.phase(plan.phase) / "events.jsonl"))
        if done > max(0, seen[plan.phase]):
            seen[plan.phase] = done
            yield Progress(plan.phase, done, total, f"epoch {(done - 1) // steps_per_epoch + 1}")


def _work(run: str, tasks: Any, answers: Any, halt: Any, parent: int) -> None:
    """A worker: retrains plans until there is none left, or until it must stop. Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)

    def stop() -> bool:
        # A worker whose parent was killed must not go on writing beside the run that takes over.
        return bool(halt.is_set()) or os.getppid() != parent

    try:
        study = reopen_study(RunFolder(Path(run)), load_plugins(quiet=True))
        for task in iter(tasks.get, None):
            plan = Plan.from_dict(task)
            for _ in retrain(study, plan, phase_journal(study, plan), stop):
                pass
    except Stopped:
        pass
    except NasplugError as error:
        answers.put(error)
    answers.close()
