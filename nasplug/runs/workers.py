"""Independent phases beside each other: each in a process of its own, with one thread.

On two cores, two trainings at once give nearly twice the throughput of one training with two threads. Events of one
phase are told in their order; those of phases beside each other take turns, as the looks at their journals find them.
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
from nasplug.plugins.program_objects import objects_for_others, with_objects
from nasplug.runs.context import RunContext, reopen_context
from nasplug.runs.memory import keep_freed_memory
from nasplug.runs.retrain import retrain
from nasplug.runs.signals import ShouldStop
from nasplug.runs.training import Progress, Stopped
from nasplug.store.events import EventCallback, Journal, Tail, ignore_event
from nasplug.store.files import read_tensors
from nasplug.store.networks import PlannedNetwork
from nasplug.store.run_folder import RunFolder
from nasplug.values.recipe import Recipe

POLL_SECONDS = 0.5


def retrain_networks(
    context: RunContext, plans: Sequence[PlannedNetwork], should_stop: ShouldStop, on_event: EventCallback
) -> Iterator[Progress]:
    """Trains every plan that is not finished, `jobs` of them at a time."""
    left = [plan for plan in plans if context.folder.done(plan.phase) is None]
    if context.recipe.run.jobs > 1:
        yield from _beside_each_other(context, left, should_stop, on_event)
        return
    for plan in left:
        yield from retrain(context, plan, phase_journal(context, plan, on_event), should_stop)


def check_jobs(plugins: Plugins, recipe: Recipe) -> None:
    """Raises InputError if retrainings cannot run beside each other as asked."""
    if recipe.run.jobs > 1 and objects_for_others(plugins) is None:
        raise InputError(
            f"run.jobs={recipe.run.jobs} retrains in other processes, which cannot have the objects that were "
            f"handed over; use jobs=1, or hand over parts of importable modules whose options are plain, and data by "
            f"name."
        )


def phase_journal(context: RunContext, plan: PlannedNetwork, on_event: EventCallback) -> Journal:
    """The journal of a phase that runs beside others; `merge_journals` joins them."""
    return context.journal(_journal_path(context, plan), on_event)


def _journal_path(context: RunContext, plan: PlannedNetwork) -> Path:
    return context.folder.phase(plan.phase) / "events.jsonl"


def _beside_each_other(
    context: RunContext, plans: Sequence[PlannedNetwork], should_stop: ShouldStop, on_event: EventCallback
) -> Iterator[Progress]:
    jobs = min(context.recipe.run.jobs, len(plans))
    spawn = multiprocessing.get_context("spawn")
    halt = spawn.Event()
    tasks: Any = spawn.Queue()
    answers: Any = spawn.Queue()
    # The largest first, so that no process is left alone with a long one at the end.
    for plan in sorted(plans, key=lambda plan: -plan.cost.macs):
        tasks.put(plan.to_dict())
    for _ in range(jobs):
        tasks.put(None)
    arguments = (
        str(context.folder.path.resolve()),
        objects_for_others(context.plugins),
        tasks,
        answers,
        halt,
        os.getpid(),
    )
    workers = [spawn.Process(target=_work, args=arguments, daemon=True) for _ in range(jobs)]
    news = _News(context, plans, on_event)
    with _on_their_own():
        for worker in workers:
            worker.start()
    try:
        yield from _watch(context, news, workers, answers, halt, should_stop)
    finally:
        halt.set()
        for worker in workers:
            worker.join()
        for _ in news.look():  # what was still on the way
            pass
    if should_stop():
        raise Stopped


@contextmanager
def _on_their_own() -> Iterator[None]:
    """Lets processes start that do not run the program of their parent anew, and leave Ctrl-C to the parent.

    They need nothing of the program, and a script that calls `nasplug.search` would start the same search in each.
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


def _watch(
    context: RunContext, news: _News, workers: Sequence[BaseProcess], answers: Any, halt: Any, should_stop: ShouldStop
) -> Iterator[Progress]:
    """Reports progress until every worker has ended; raises the first failure of any."""
    while any(worker.is_alive() for worker in workers):
        time.sleep(POLL_SECONDS)
        if should_stop():
            halt.set()
        yield from news.look()
        if not answers.empty():
            raise answers.get()
    yield from news.look()
    if not answers.empty():
        raise answers.get()
    for worker in workers:
        if worker.exitcode != 0:
            raise RunFailure(
                f"A process that retrained a network ended with code {worker.exitcode}, perhaps for lack of memory; "
                f"lower --jobs, or go on with: {context.resume_hint}"
            )


class _News:
    """What the journals of phases in other processes say from now on. What they will repeat is cut off first."""

    def __init__(self, context: RunContext, plans: Sequence[PlannedNetwork], on_event: EventCallback) -> None:
        self._steps_per_epoch = context.stream("", "", context.splits.train, context.recipe.retrain).steps_per_epoch
        self._total = self._steps_per_epoch * context.recipe.retrain.epochs
        self._tell = on_event
        for plan in plans:
            checkpoint = context.folder.checkpoint(plan.phase)
            count = read_tensors(checkpoint, "checkpoint")[1]["events"] if checkpoint.exists() else 0
            phase_journal(context, plan, on_event).cut(count)
        self._tails = {plan.phase: Tail(_journal_path(context, plan)) for plan in plans}

    def look(self) -> Iterator[Progress]:
        """Tells of every event since the last look, and yields a line of progress for each phase that went on."""
        for phase, tail in self._tails.items():
            events = tail.read()
            for event in events:
                self._tell(event)
            if events:
                epoch, done = events[-1]["epoch"], events[-1]["step"]
                yield Progress(phase, done, self._total, f"epoch {epoch + 1}")


def _work(run: str, objects: Mapping[str, tuple[str, Any]], tasks: Any, answers: Any, halt: Any, parent: int) -> None:
    """A worker: retrains plans until there is none left, or until it must stop. Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where the parent is not its main thread, it was not ignored so far
    torch.set_num_threads(1)
    keep_freed_memory()

    def should_stop() -> bool:
        # A worker whose parent was killed must not go on writing beside the run that takes over.
        return bool(halt.is_set()) or os.getppid() != parent

    try:
        context = reopen_context(RunFolder(Path(run)), with_objects(load_plugins(quiet=True), objects))
        for task in iter(tasks.get, None):
            plan = PlannedNetwork.from_dict(task)
            for _ in retrain(context, plan, phase_journal(context, plan, ignore_event), should_stop):
                pass
    except Stopped:
        pass
    except NasplugError as error:
        answers.put(error)
    answers.close()
