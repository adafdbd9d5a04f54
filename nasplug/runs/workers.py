"""Training of several networks in parallel: each in a process of its own, with one thread.

On two cores, two trainings in parallel have nearly twice the throughput of one training with two threads. `on_event`
gets the events of one phase in their order; events of parallel phases alternate as they are read from the journals.
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import attrs

from nasplug.errors import InputError, RunFailure
from nasplug.parts.child_processes import blocked_signals, hidden_main_program
from nasplug.plugins import Plugins
from nasplug.plugins.program_objects import objects_for_workers
from nasplug.runs.context import RunContext
from nasplug.runs.retrain import train_task
from nasplug.runs.signals import ShouldStop
from nasplug.runs.training import Stopped
from nasplug.runs.training_task import TrainingTask, plan_retrainings
from nasplug.runs.worker import READY, Task, run_worker
from nasplug.store.checkpoint import count_saved_events
from nasplug.store.events import EventCallback, Journal, Tail
from nasplug.store.networks import PlannedNetwork
from nasplug.values import Progress
from nasplug.values.recipe import Recipe

POLL_SECONDS = 0.5
"""Time between two reads of the journals of all workers."""


def retrain_networks(
    context: RunContext, plans: Sequence[PlannedNetwork], should_stop: ShouldStop, on_event: EventCallback
) -> Iterator[Progress]:
    """Trains every planned network that is not finished, `run.jobs` of them in parallel."""
    yield from train_networks(context, plan_retrainings(context, plans), should_stop, on_event)


def train_networks(
    context: RunContext, tasks: Sequence[TrainingTask], should_stop: ShouldStop, on_event: EventCallback
) -> Iterator[Progress]:
    """Carries out every task whose phase is not finished, `run.jobs` of them in parallel."""
    left = [task for task in tasks if context.folder.done(task.phase) is None]
    if context.recipe.run.jobs > 1:
        yield from _train_in_parallel(context, left, should_stop, on_event)
        return
    for task in left:
        yield from train_task(context, task, phase_journal(context, task.phase, on_event), should_stop)


def check_jobs(plugins: Plugins, recipe: Recipe) -> None:
    """Raises InputError if retrainings cannot run in parallel as the recipe asks."""
    if recipe.run.jobs > 1 and objects_for_workers(plugins) is None:
        raise InputError(
            f"run.jobs={recipe.run.jobs} retrains in other processes, which cannot have the objects that were "
            f"handed over; use jobs=1, or hand over parts of importable modules whose options are plain, and data by "
            f"name."
        )


def phase_journal(context: RunContext, phase: str, on_event: EventCallback) -> Journal:
    """The journal of a phase that may run in parallel with others; `merge_journals` joins them."""
    return context.journal(journal_path(context, phase), on_event)


def journal_path(context: RunContext, phase: str) -> Path:
    """Where this journal is."""
    return context.folder.phase(phase) / "events.jsonl"


def _train_in_parallel(
    context: RunContext, tasks: Sequence[TrainingTask], should_stop: ShouldStop, on_event: EventCallback
) -> Iterator[Progress]:
    reader = _JournalReader(context, tasks, context.observed(on_event))
    workers: list[_Worker] = []
    try:
        _start_workers(context, min(context.recipe.run.jobs, len(tasks)), workers)
        yield from _give_tasks(context, tasks, reader, workers, should_stop)
    finally:
        try:
            for worker in workers:
                worker.give(None)
            for worker in workers:
                worker.process.join()
        finally:  # reached with processes that are alive only if the user does not want to wait for them
            for worker in workers:
                worker.process.kill()
                worker.process.join()
                worker.connection.close()
        for _ in reader.read():  # events written since the last read
            pass
    if should_stop():
        raise Stopped


@attrs.define(eq=False)
class _Worker:
    """A process that trains networks, and the connection to it."""

    process: BaseProcess
    connection: Connection[Task, Any]
    dismissed: bool = False
    """Whether it was told to leave."""

    def give(self, task: Task) -> None:
        """Sends it a task, or None to stop at its next step; if the process is gone, nothing happens."""
        with suppress(OSError):
            self.connection.send(task)
        self.dismissed |= task is None


def _start_workers(context: RunContext, count: int, workers: list[_Worker]) -> None:
    """Adds `count` started processes to `workers`, one by one.

    A pipe connects each with this process. Queues and events of `multiprocessing` would need shared memory, which some
    containers do not have.
    """
    spawn = multiprocessing.get_context("spawn")
    folder, objects = str(context.folder.path.resolve()), pickle.dumps(objects_for_workers(context.plugins))
    if sys.platform != "win32":
        with blocked_signals():  # so that a closed terminal does not end the process that it starts
            resource_tracker.ensure_running()
    for _ in range(count):
        own, other = spawn.Pipe()
        # No daemon, which could not have processes of its own to decode images (data.workers).
        process = spawn.Process(target=run_worker, args=(folder, objects, other))
        with hidden_main_program(), blocked_signals():
            process.start()
            workers.append(_Worker(process, own))
        other.close()


def _give_tasks(
    context: RunContext,
    tasks: Sequence[TrainingTask],
    reader: _JournalReader,
    workers: Sequence[_Worker],
    should_stop: ShouldStop,
) -> Iterator[Progress]:
    """Gives a training to every worker that has none, and yields progress, until all workers have left.

    Raises the first failure of a worker.
    """
    # The largest first, so that at the end no worker is busy with a long one while the others have nothing to do.
    left = deque(task.to_dict() for task in sorted(tasks, key=lambda task: -task.plan.costs.macs * task.epochs))
    present = {worker.connection: worker for worker in workers}
    stopping = False
    while present:
        ready = wait(list(present), POLL_SECONDS)
        if not stopping and should_stop():
            stopping = True
            left.clear()
            for worker in present.values():
                worker.give(None)
        yield from reader.read()
        for worker in [worker for connection, worker in present.items() if connection in ready]:
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):  # its process has ended
                del present[worker.connection]
                _check_end(context, worker)
                continue
            if message != READY:
                raise message
            worker.give(left.popleft() if left else None)
    yield from reader.read()


def _check_end(context: RunContext, worker: _Worker) -> None:
    """Raises RunFailure if a process that has ended was not told to leave, or did not leave in order."""
    worker.process.join()
    code = worker.process.exitcode or 0
    if code < 0:
        how = f"was killed by {signal.Signals(-code).name}"
        how += ", perhaps for lack of memory; lower --jobs, or" if -code == getattr(signal, "SIGKILL", 0) else ";"
    elif code > 0:
        how = f"ended with code {code}; its error is above;"
    elif not worker.dismissed:
        how = "ended before its network was finished;"
    else:
        return
    raise RunFailure(f"A process that trained a network {how} go on with: {context.resume_hint}")


class _JournalReader:
    """Reads the events that workers append to their journals.

    Events after the last checkpoint of a phase happen again, so they are cut off first.
    """

    def __init__(self, context: RunContext, tasks: Sequence[TrainingTask], on_event: EventCallback) -> None:
        training = context.recipe.retrain
        steps_per_epoch = {
            (fold, held_out): context.stream("", "", context.division(fold, held_out).train, training).steps_per_epoch
            for fold, held_out in {(task.fold, task.held_out) for task in tasks}
        }
        self._totals = {task.phase: steps_per_epoch[task.fold, task.held_out] * task.epochs for task in tasks}
        self._on_event = on_event
        for phase in self._totals:
            count = count_saved_events(context.folder.checkpoint(phase))
            phase_journal(context, phase, on_event).cut(count)
        self._tails = {phase: Tail(journal_path(context, phase)) for phase in self._totals}

    def read(self) -> Iterator[Progress]:
        """Passes on every event since the last read, and yields the progress of each phase that had any."""
        for phase, tail in self._tails.items():
            events = tail.read()
            for event in events:
                self._on_event(event)
            if events:
                epoch, done = events[-1]["epoch"], events[-1]["step"]
                yield Progress(phase, done, self._totals[phase], f"epoch {epoch + 1}")
