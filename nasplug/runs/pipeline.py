"""A run, phase after phase. Finished phases are skipped, and an unfinished one starts at its checkpoint."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from nasplug.engine.finite import NonFinite
from nasplug.errors import InputError, RunFailure, command, one_line
from nasplug.plugins import Plugins
from nasplug.plugins.hook_calls import note
from nasplug.runs.bracket import tournament_phases
from nasplug.runs.context import RunContext
from nasplug.runs.ranks import set_threads
from nasplug.runs.search import found_genotypes, search
from nasplug.runs.selection import select
from nasplug.runs.signals import ShouldStop, Signals
from nasplug.runs.summary import write_result
from nasplug.runs.tabular import look_up
from nasplug.runs.teacher_training import train_teacher
from nasplug.runs.tournament import enter_candidates, hold_tournament
from nasplug.runs.training import Stopped
from nasplug.runs.training_task import plan_retrainings
from nasplug.runs.workers import journal_path, retrain_networks
from nasplug.store.events import EventCallback, ignore_event, merge_journals
from nasplug.store.lock import lock_run
from nasplug.store.networks import PlannedNetwork, load_network, space_of
from nasplug.store.result import set_note, set_status
from nasplug.store.run_folder import RunFolder
from nasplug.values import Progress

REPORT_FAILURE = "The report could not be written"
"""How the note of a run without a report begins."""


def run_pipeline(
    context: RunContext, signals: Signals, on_event: EventCallback = ignore_event
) -> Generator[Progress, None, None]:
    """Carries out every phase of a run that is not finished yet, and leaves `result.json` and `report.html`.

    `on_event` is called with every event after it was written to disk. Closing this iterator stops the run.
    Raises Interrupted after a signal, RunFailure if a phase breaks; the run can be resumed after any of these. Raises
    InputError if another process carries out this run.
    """
    with lock_run(context.folder):
        try:
            yield from _run_phases(context, signals, on_event)
            report_or_say(context.folder, context.plugins)
        finally:
            context.plugins.notify_end(context.folder.path)


def _run_phases(context: RunContext, signals: Signals, on_event: EventCallback) -> Iterator[Progress]:
    folder = context.folder
    try:
        with signals.hurrying():
            set_threads(context)
            write_result(context, "running", read_plans(folder) or [])
            journal = context.journal(folder.events, on_event)
            if folder.done("teacher") is None:
                yield from train_teacher(context, journal, signals)
            if folder.done("search") is None:
                yield from search(context, journal, signals, on_event)
            plans = yield from plan_networks(context, signals, on_event)
            write_result(context, "running", plans)
            yield from look_up(context, plans)
            yield from retrain_networks(context, plans, signals, on_event)
            phases = [*tournament_phases(folder), *(task.phase for task in plan_retrainings(context, plans))]
            merge_journals(folder.events, [(phase, journal_path(context, phase)) for phase in phases])
            yield from measure_test_errors(context, plans, signals)
            write_result(context, "done", plans)
    except GeneratorExit:
        set_status(folder, "stopped")
        raise
    except (Stopped, KeyboardInterrupt):
        set_status(folder, "stopped")
        if not signals():  # raised by the program, not by a signal
            raise
        raise signals.interrupted(context.resume_hint) from None
    except Exception:
        set_status(folder, "failed")
        raise


def plan_first_trainings(context: RunContext, should_stop: ShouldStop) -> Generator[Progress, None, None]:
    """Plans what is trained first after the search: the networks of the run, or the candidates of its tournament."""
    if context.recipe.select.candidates and read_plans(context.folder) is None:
        yield from enter_candidates(context, should_stop)
    else:
        yield from plan_networks(context, should_stop)


def plan_networks(
    context: RunContext, should_stop: ShouldStop, on_event: EventCallback = ignore_event
) -> Generator[Progress, None, list[PlannedNetwork]]:
    """The networks of this run: selected once, by their sizes or in a tournament, then kept in the run folder."""
    plans = read_plans(context.folder)
    if plans is None:
        if context.recipe.select.candidates:
            plans = yield from hold_tournament(context, should_stop, on_event)
        else:
            plans = yield from select(context, found_genotypes(context), should_stop)
        context.folder.finish("select", {"plans": [plan.to_dict() for plan in plans]})
    return plans


def read_plans(folder: RunFolder) -> list[PlannedNetwork] | None:
    """The networks that were selected, or None before that; InputError if the record is damaged."""
    record = folder.done("select")
    if record is None:
        return None
    try:
        return [PlannedNetwork.from_dict(plan) for plan in record["plans"]]
    except (AttributeError, KeyError, TypeError) as error:
        path = folder.phase("select")
        raise InputError(f"The selection in '{path}' is damaged ({error!r}); remove it to select again.") from error


def measure_test_errors(
    context: RunContext, plans: Sequence[PlannedNetwork], should_stop: ShouldStop
) -> Iterator[Progress]:
    """Measures the test error of every trained network once; those of a table have theirs on record."""
    if context.folder.done("test") is not None:
        return
    rates: dict[str, float | None] = {}
    by_class: dict[str, list[float | None]] = {}
    confusion: dict[str, list[list[int]]] = {}
    for count, plan in enumerate(plans):
        if should_stop():
            raise Stopped
        yield Progress("test", count, len(plans))
        record = context.folder.done(plan.phase) or {}
        if "test_error" in record:
            rates[plan.id] = record["test_error"]
            continue
        net, _ = load_network(context.folder.weights(plan.id), context.plugins)
        try:
            answers = context.test_answers(net.to(context.device))
        except NonFinite as failure:
            raise RunFailure(
                f"The network {plan.id} cannot be tested: {failure} Its training has diverged; start again with a "
                f"lower learning rate: --set retrain.lr={context.recipe.retrain.lr / 4:g}."
            ) from failure
        rates[plan.id] = None
        if answers is not None:
            errors, confused = answers
            rates[plan.id], by_class[plan.id] = errors.rate, errors.by_output
            if plan.role == "found" and confused is not None:
                confusion[plan.id] = confused.to_entries()
    context.folder.finish("test", {"errors": rates, "by_class": by_class, "confusion": confusion})


def report_or_say(folder: RunFolder, plugins: Plugins) -> None:
    """Writes the report of a run; where that fails, says so: what it is about was done all the same."""
    try:
        write_run_report(folder, plugins)
    except Exception as error:
        note(describe_report_failure(folder, error))


def write_run_report(folder: RunFolder, plugins: Plugins) -> Path:
    """Writes the report of a run again, whatever its status; returns its path.

    If that fails, a note in `result.json` says so until it succeeds. Raises InputError, and leaves no note, where the
    space of the run is not there.
    """
    folder.refuse_links()
    part = folder.recipe_layer()["space"]
    space = space_of(plugins, str(part.pop("part", "")), part, folder.path)
    set_note(folder, REPORT_FAILURE, None)
    try:
        from nasplug.report import write_report  # here, because it imports matplotlib

        plans = read_plans(folder) or []
        return write_report(
            folder.path, {plan.id: space.drawings(plan.genotype) for plan in plans if plan.genotype is not None}
        )
    except Exception as error:
        set_note(folder, REPORT_FAILURE, describe_report_failure(folder, error))
        raise


def describe_report_failure(folder: RunFolder, error: Exception) -> str:
    """What went wrong with a report, and how to write it."""
    return f"{REPORT_FAILURE} ({one_line(error)}); write it with: {command('report', folder.path)}"
