"""A run, phase after phase. What is finished is not done again: that is all there is to resuming."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import torch

from nasplug.errors import InputError
from nasplug.phases.exclusive import exclusive
from nasplug.phases.folder import RunFolder
from nasplug.phases.journal import Tell, gather, nobody
from nasplug.phases.looking_up import look_up
from nasplug.phases.networks import Plan, load_network, space_of
from nasplug.phases.pool import retrain_all
from nasplug.phases.result import set_status, write_result
from nasplug.phases.searching import found_genotypes, search, teach
from nasplug.phases.selection import select
from nasplug.phases.stopping import Signals
from nasplug.phases.study import Study
from nasplug.phases.training import Progress, Stopped
from nasplug.plugins import Plugins


def journey(study: Study, signals: Signals, tell: Tell = nobody) -> Generator[Progress, None, None]:
    """Carries out every phase of a run that is not finished yet, and leaves `result.json` and `report.html`.

    `tell` hears of every event that happens, once it is on disk. Whoever closes this iterator stops the run.
    Raises Interrupted after a signal, RunFailure if a phase breaks; the run can be resumed after any of these. Raises
    InputError if somebody else carries out this run just now.
    """
    with exclusive(study.folder):
        yield from _phases(study, signals, tell)


def _phases(study: Study, signals: Signals, tell: Tell) -> Iterator[Progress]:
    folder = study.folder
    try:
        torch.set_num_threads(study.recipe.run.threads)
        write_result(study, "running", [])
        journal = study.journal(folder.events, tell)
        for name, work in (("teacher", teach), ("search", search)):
            if folder.done(name) is None:
                yield from work(study, journal, signals)
        plans = planned(study)
        write_result(study, "running", plans)
        yield from look_up(study, plans)
        yield from retrain_all(study, plans, signals, tell)
        gather(folder.events, [(plan.phase, folder.phase(plan.phase) / "events.jsonl") for plan in plans])
        yield from test(study, plans)
        write_result(study, "done", plans)
        redraw(folder, study.plugins)
    except Stopped:
        set_status(folder, "stopped")
        raise signals.interrupted(study.way_on) from None
    except (GeneratorExit, KeyboardInterrupt):
        set_status(folder, "stopped")
        raise
    except Exception:
        set_status(folder, "failed")
        raise


def planned(study: Study) -> list[Plan]:
    """The networks of this run: selected once, then kept in the run folder."""
    plans = recorded_plans(study.folder)
    if plans is None:
        plans = select(study, found_genotypes(study))
        study.folder.finish("select", {"plans": [plan.to_dict() for plan in plans]})
    return plans


def recorded_plans(folder: RunFolder) -> list[Plan] | None:
    """The networks that were selected, or None before that; InputError if the record is damaged."""
    record = folder.done("select")
    if record is None:
        return None
    try:
        return [Plan.from_dict(each) for each in record["plans"]]
    except (AttributeError, KeyError, TypeError) as error:
        path = folder.phase("select")
        raise InputError(f"The selection in '{path}' is damaged ({error!r}); remove it to select anew.") from error


def test(study: Study, plans: Sequence[Plan]) -> Iterator[Progress]:
    """Measures every trained network once on the test images; of the others the test error is on record."""
    if study.folder.done("test") is not None:
        return
    errors = {}
    for count, plan in enumerate(plans):
        yield Progress("test", count, len(plans))
        record = study.folder.done(plan.phase) or {}
        if "test_error" in record:
            errors[plan.id] = record["test_error"]
            continue
        net, _ = load_network(study.folder.weights(plan.id), study.plugins)
        errors[plan.id] = study.error(net.to(study.device), "test")
    study.folder.finish("test", {"errors": errors})


def redraw(folder: RunFolder, plugins: Plugins) -> Path:
    """Writes the report of a run anew, whatever its status; returns its path."""
    from nasplug.report import write_report  # here, because it brings matplotlib, which retraining processes never need

    part = folder.recipe_layer()["space"]
    space = space_of(plugins, str(part.pop("part", "")), part, folder.path)
    plans = recorded_plans(folder) or []
    return write_report(folder.path, {plan.id: space.draw(plan.genotype) for plan in plans})
