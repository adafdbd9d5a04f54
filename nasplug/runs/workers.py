"""Retraining of several networks in parallel: each in a process of its own, with one thread.

On two cores, two trainings in parallel have nearly twice the throughput of one training with two threads. `on_event`
gets the events of one phase in their order; events of parallel phases alternate as they are read from the journals.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from nasplug.errors import InputError, NasplugError, RunFailure
from nasplug.plugins import Plugins, load_plugins
from nasplug.plugins.program_objects import add_objects, objects_for_workers
from nasplug.runs.context import RunContext, reopen_context
from nasplug.runs.memory import keep_freed_memory
from nasplug.runs.retrain import retrain
from nasplug.runs.signals import ShouldStop
from nasplug.runs.training import Progress, Stopped
from nasplug.store.checkpoint import count_saved_events
from nasplug.store.events import EventCallback, Journal, Tail, ignore_event
from nasplug.store.networks import PlannedNetwork
from nasplug.store.run_folder import RunFolder
from nasplug.values.recipe import Recipe

POLL_SECONDS = 0.5
"""Time between two reads of the journals of all workers."""


def retrain_networks(
    context: RunContext, plans: Sequence[PlannedNetwork], should_stop: ShouldStop, on_event: EventCallback
) -> Iterator[Progress]:
    """Trains every planned network that is not finished, `run.jobs` of them in parallel."""
    left = [plan for plan in plans if context.folder.done(plan.phase) is None]
    if context.recipe.run.jobs > 1:
        yield from _retrain_in_parallel(context, left, should_stop, on_event)
        return
    for plan in left:
        yield from retrain(context, plan, phase_journal(context, plan, on_event), should_stop)


def check_jobs(plugins: Plugins, recipe: Recipe) -> None:
    """Raises InputError if retrainings cannot run in parallel as the recipe asks."""
    if recipe.run.jobs > 1 and objects_for_workers(plugins) is None:
        raise InputError(
            f"run.jobs={recipe.run.jobs} retrains in other processes, which cannot have the objects that were "
            f"handed over; use jobs=1, or hand over parts of importable modules whose options are plain, and data by "
            f"name."
        )


def phase_journal(context: RunContext, plan: PlannedNetwork, on_event: EventCallback) -> Journal:
    """The journal of a phase that may run in parallel with others; `merge_journals` joins them."""
    return context.journal(_journal_path(context, plan), on_event)


def _journal_path(context: RunContext, plan: PlannedNetwork) -> Path:
    return context.folder.phase(plan.phase) / "events.jsonl"


def _retrain_in_parallel(
    context: RunContext, plans: Sequence[PlannedNetwork], should_stop: ShouldStop, on_event: EventCallback
) -> Iterator[Progress]:
    jobs = min(context.recipe.run.jobs, len(plans))
    spawn = multiprocessing.get_context("spawn")
    halt = spawn.Event()
    tasks: Any = spawn.Queue()
    answers: Any = spawn.Queue()
    # The largest first, so that at the end no worker is busy with a long one while the others have nothing to do.
    for plan in sorted(plans, key=lambda plan: -plan.cost.macs):
        tasks.put(plan.to_dict())
    for _ in range(jobs):
        tasks.put(None)
    arguments = (
        str(context.folder.path.resolve()),
        objects_for_workers(context.plugins),
        tasks,
        answers,
        halt,
        os.getpid(),
    )
    workers = [spawn.Process(target=_run_worker, args=arguments, daemon=True) for _ in range(jobs)]
    reader = _JournalReader(context, plans, on_event)
    with _hide_main_program():
        for worker in workers:
            worker.start()
    try:
        yield from _watch_workers(context, reader, workers, answers, halt, should_stop)
    finally:
        halt.set()
        for worker in workers:
            worker.join()
        for _ in reader.read():  # events written since the last read
            pass
    if should_stop():
        raise Stopped


@contextmanager
def _hide_main_program() -> Iterator[None]:
    """Processes that start inside the block do not import the main program of this one, and ignore Ctrl-C.

    They need nothing of the main program; a script that calls `nasplug.search` would start the same search in each.
    """
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    main = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is not None
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        yield
    finally:
        sys.modules["__main__"] = program
        if main:
            signal.signal(signal.SIGINT, handler)


def _watch_workers(
    context: RunContext,
    reader: _JournalReader,
    workers: Sequence[BaseProcess],
    answers: Any,
    halt: Any,
    should_stop: ShouldStop,
) -> Iterator[Progress]:
    """Yields progress until every worker has ended; raises the first failure of a worker."""
    while any(worker.is_alive() for worker in workers):
        time.sleep(POLL_SECONDS)
        if should_stop():
            halt.set()
        yield from reader.read()
        if not answers.empty():
            raise answers.get()
    yield from reader.read()
    if not answers.empty():
        raise answers.get()
    for worker in workers:
        if worker.exitcode != 0:
            raise RunFailure(
                f"A process that retrained a network ended with code {worker.exitcode}, perhaps for lack of memory; "
                f"lower --jobs, or go on with: {context.resume_hint}"
            )


class _JournalReader:
    """Reads the events that workers append to their journals.

    Events after the last checkpoint of a phase happen again, so they are cut off first.
    """

    def __init__(self, context: RunContext, plans: Sequence[PlannedNetwork], on_event: EventCallback) -> None:
        self._steps_per_epoch = context.stream("", "", context.splits.train, context.recipe.retrain).steps_per_epoch
        self._total = self._steps_per_epoch * context.recipe.retrain.epochs
        self._on_event = on_event
        for plan in plans:
            count = count_saved_events(context.folder.checkpoint(plan.phase))
            phase_journal(context, plan, on_event).cut(count)
        self._tails = {plan.phase: Tail(_journal_path(context, plan)) for plan in plans}

    def read(self) -> Iterator[Progress]:
        """Passes on every event since the last read, and yields the progress of each phase that had any."""
        for phase, tail in self._tails.items():
            events = tail.read()
            for event in events:
                self._on_event(event)
            if events:
                epoch, done = events[-1]["epoch"], events[-1]["step"]
                yield Progress(phase, done, self._total, f"epoch {epoch + 1}")


def _run_worker(
    run: str, objects: Mapping[str, tuple[str, Any]], tasks: Any, answers: Any, halt: Any, parent: int
) -> None:
    """The main function of a worker: retrains networks until the queue is empty or it must stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles it; inherited unless a thread started this
    torch.set_num_threads(1)
    keep_freed_memory()

    def should_stop() -> bool:
        # A worker whose parent was killed must stop writing: a resumed run may be working on the same files.
        return bool(halt.is_set()) or os.getppid() != parent

    try:
        context = reopen_context(RunFolder(Path(run)), add_objects(load_plugins(quiet=True), objects))
        for task in iter(tasks.get, None):
            plan = PlannedNetwork.from_dict(task)
            for _ in retrain(context, plan, phase_journal(context, plan, ignore_event), should_stop):
                pass
    except Stopped:
        pass
    except NasplugError as error:
        answers.put(error)
    answers.close()
