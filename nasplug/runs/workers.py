"""Training of several networks that do not depend on one another, by the executor of the run.

On two cores, two trainings in parallel have nearly twice the throughput of one training with two threads. `on_event`
gets the events of one phase in their order; events of parallel phases alternate as they are read from the journals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from nasplug.compose import build_executor
from nasplug.errors import InputError
from nasplug.parts import TrainingExecutor, Workload
from nasplug.plugins import Plugins
from nasplug.plugins.program_objects import objects_for_workers
from nasplug.runs.context import RunContext
from nasplug.runs.executor_calls import Call, ExecutorCalls
from nasplug.runs.retrain import train_task
from nasplug.runs.signals import ShouldStop
from nasplug.runs.training import Stopped
from nasplug.runs.training_task import TrainingTask, plan_retrainings
from nasplug.runs.worker import Program, train_phase
from nasplug.store.checkpoint import count_saved_events
from nasplug.store.events import EventCallback, Journal, Tail
from nasplug.store.lock import lock_phase
from nasplug.store.networks import PlannedNetwork
from nasplug.store.worker_token import WorkerToken
from nasplug.values import Progress
from nasplug.values.recipe import Recipe


def retrain_networks(
    context: RunContext, plans: Sequence[PlannedNetwork], should_stop: ShouldStop, on_event: EventCallback
) -> Iterator[Progress]:
    """Trains every planned network that is not finished, `run.jobs` of them at a time."""
    yield from train_networks(context, plan_retrainings(context, plans), should_stop, on_event)


def train_networks(
    context: RunContext, tasks: Sequence[TrainingTask], should_stop: ShouldStop, on_event: EventCallback
) -> Iterator[Progress]:
    """Carries out every task whose phase is not finished, `run.jobs` of them at a time.

    Raises Stopped if `should_stop` says so, and RunFailure if one of them fails, or its process is lost more often than
    `run.retries` allows; all others have stopped then, with their states saved.
    """
    left = [task for task in tasks if context.folder.done(task.phase) is None]
    if not left:
        return
    executor = build_executor(context.plugins, context.recipe)
    workload = Workload(context.recipe.run.jobs, str(context.device), context.folder.path.resolve())
    token = WorkerToken.issue(context.folder.path)  # and so stops what an earlier program has left behind
    try:
        if executor.workers(workload) > 0:
            yield from _train_elsewhere(context, executor, workload, left, token, should_stop, on_event)
        else:
            for task in left:
                yield from train_alone(context, task, on_event, should_stop)
    finally:
        token.revoke()


def train_alone(
    context: RunContext, task: TrainingTask, on_event: EventCallback, should_stop: ShouldStop
) -> Iterator[Progress]:
    """Carries out a task in this process, unless it is finished, while no other process carries out its phase."""
    with lock_phase(context.folder, task.phase, should_stop) as is_locked:
        if not is_locked:
            raise Stopped
        if context.folder.done(task.phase) is None:
            yield from train_task(context, task, phase_journal(context, task.phase, on_event), should_stop)


def check_executor(plugins: Plugins, recipe: Recipe) -> None:
    """Raises InputError if retrainings cannot be carried out as the recipe asks."""
    executor = build_executor(plugins, recipe)
    executor.check()
    if executor.workers(Workload(recipe.run.jobs, "cpu", Path())) > 0 and objects_for_workers(plugins) is None:
        raise InputError(
            f"run.jobs={recipe.run.jobs} retrains in other processes (executor '{recipe.executor.name}'), which cannot "
            f"have the objects that were handed over; use jobs=1 with the executor 'local', or hand over parts of "
            f"importable modules whose options are plain, and data by name."
        )


def phase_journal(context: RunContext, phase: str, on_event: EventCallback) -> Journal:
    """The journal of a phase that may run in parallel with others; `merge_journals` joins them."""
    return context.journal(journal_path(context, phase), on_event)


def journal_path(context: RunContext, phase: str) -> Path:
    """Where this journal is."""
    return context.folder.phase(phase) / "events.jsonl"


def _train_elsewhere(
    context: RunContext,
    executor: TrainingExecutor,
    workload: Workload,
    tasks: Sequence[TrainingTask],
    token: WorkerToken,
    should_stop: ShouldStop,
    on_event: EventCallback,
) -> Iterator[Progress]:
    reader = _JournalReader(context, tasks, context.observed(on_event))
    program = Program.here(context.folder.path, context.plugins, token, executor.threads)
    # The largest first, so that at the end no worker is busy with a long one while the others have nothing to do.
    ordered = sorted(tasks, key=lambda task: -task.plan.costs.macs * task.epochs)
    calls = [
        Call(task.phase, train_phase, (program, task.to_dict()), context.folder.phase(task.phase) / "done.json")
        for task in ordered
    ]
    run = context.recipe.run
    work = ExecutorCalls(context.recipe.executor.name, executor, workload, run.retries, token, context.resume_hint)
    try:
        for _ in work.carry_out(calls, should_stop):
            yield from reader.read()
    finally:
        for _ in reader.read():  # events written since the last read
            pass
    if should_stop():
        raise Stopped


class _JournalReader:
    """Reads the events of each phase after its last checkpoint, as workers append them to their journals."""

    def __init__(self, context: RunContext, tasks: Sequence[TrainingTask], on_event: EventCallback) -> None:
        training = context.recipe.retrain
        steps_per_epoch = {
            (fold, held_out): context.stream("", "", context.division(fold, held_out).train, training).steps_per_epoch
            for fold, held_out in {(task.fold, task.held_out) for task in tasks}
        }
        self._totals = {task.phase: steps_per_epoch[task.fold, task.held_out] * task.epochs for task in tasks}
        self._on_event = on_event
        self._tails = {
            phase: Tail(journal_path(context, phase), count_saved_events(context.folder.checkpoint(phase)))
            for phase in self._totals
        }

    def read(self) -> Iterator[Progress]:
        """Passes on every event since the last read, and yields the progress of each phase that had any."""
        for phase, tail in self._tails.items():
            events = tail.read()
            for event in events:
                self._on_event(event)
            if events:
                epoch, done = events[-1]["epoch"], events[-1]["step"]
                yield Progress(phase, done, self._totals[phase], f"epoch {epoch + 1}")
