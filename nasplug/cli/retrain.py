"""`nasplug retrain` and `nasplug report`: later phases of an earlier run again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import click

from nasplug.cli.budget import budget_options, read_budget_options
from nasplug.cli.output import echo
from nasplug.cli.run import complete_run
from nasplug.cli.shared import shared_by_ranks
from nasplug.cli.typed_words import typed_words
from nasplug.compose import drop_other_measures, parse_setting, recipe_sections, resolve_recorded
from nasplug.compose.budget import SHORTHANDS
from nasplug.engine.ranks import Ranks
from nasplug.errors import InputError, command
from nasplug.plugins import load_plugins
from nasplug.runs.context import environment, note_changed_recipe, reopen_context, show_notes
from nasplug.runs.create import new_folder
from nasplug.runs.distillation import refuse_missing_teacher
from nasplug.runs.given_teacher import replace_teacher
from nasplug.runs.pipeline import plan_first_trainings, write_run_report
from nasplug.runs.ranking import is_sample
from nasplug.runs.signals import Signals
from nasplug.runs.tabular import adopt_table
from nasplug.runs.validation import refuse_validation
from nasplug.store.events import keep_phases
from nasplug.store.files import copy_whole
from nasplug.store.run_folder import RunFolder
from nasplug.ui import PrintableConsole, show_progress
from nasplug.values.options import build, option_values
from nasplug.values.recipe import EXECUTOR, SLOTS, SelectOptions

COPIED = (
    "splits.safetensors",
    "data.json",
    "events.jsonl",
    "phases/search",
    "phases/teacher",
    "phases/table",
    "table.csv",
)
"""What a retraining takes from the earlier run."""

SELECTION = "phases/select"
"""What it takes, too, if it trains the same networks."""

OF_TRAINING = ("retrain", "run", "data", EXECUTOR)
"""Sections that are not of the selection, which chooses networks and measures what they cost."""

SIZES = (("retrain", "cells"), ("retrain", "channels"), ("retrain", "widths"))
"""Options of the section "retrain" that are."""

OF_SEARCH: Mapping[str, Collection[str]] = {
    "run": ("method", "preset", "measure_every", "measure_images"),
    "budget": ("weight",),
}
"""Options that the search has followed, beside whole sections."""

PHASES = {"search": "search", "select": "selection"}
"""Phases of the earlier run that must be finished, as a message calls them."""


@click.command()
@click.argument("source", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Run folder.  [default: a new one under runs/]")
@click.option("--epochs", type=int, help="Epochs of each retraining.")
@budget_options("The most that a network may cost, as for nasplug run, in place of the budget of RUN; may be repeated.")
@click.option(
    "--same-networks",
    is_flag=True,
    help="Train the networks that RUN has selected once more, such as from another seed, instead of selecting anew.",
)
@click.option("--seed", type=int, help="Seed of initial weights and batches.  [default: that of RUN]")
@click.option("--jobs", type=int, help="Retrainings at a time, in place of the number of RUN.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="SECTION.OPTION=VALUE",
    help="Options of retrain, select, budget, run, executor and cost measures, and data.folds.",
)
@shared_by_ranks
def retrain(
    ranks: Ranks,
    /,
    source: Path,
    out: Path | None,
    epochs: int | None,
    same_networks: bool,
    seed: int | None,
    jobs: int | None,
    budgets: Sequence[str],
    max_params: int | None,
    max_macs: int | None,
    settings: Sequence[str],
) -> None:
    """Select and retrain again from the trail of RUN, with other options, into a new run folder.

    The images stay divided as in RUN; only the folds of a cross-validation (data.folds) are drawn by the seed.
    """
    plugins = load_plugins()
    old = RunFolder.existing(source)
    old.refuse_links()
    for phase in ("search", "select") if same_networks else ("search",):
        if old.done(phase) is None:
            raise InputError(
                f"The {PHASES[phase]} of '{source}' is not finished; go on with: {command('resume', source)}"
            )
    if is_sample(old):
        raise InputError(
            f"'{source}' is a sample that 'nasplug rank' has trained, with no search to select from; name the run of "
            f"that search."
        )
    note_changed_recipe(old)
    sections = {name: dict(section) for name, section in old.recipe_layer().items()}
    before = dict(sections["run"])
    # What earlier versions did not know is done as by default: this is another run.
    sections["select"] = option_values(SelectOptions()) | sections["select"]
    limits = read_budget_options(budgets, max_params, max_macs)
    if limits and same_networks:
        raise _refuse_selection("--budget")
    if limits:
        for shorthand in SHORTHANDS:
            sections["select"].pop(shorthand, None)
        sections["budget"] = {"weight": sections.get("budget", {}).get("weight", 0.0), **limits}
    known = recipe_sections(plugins)
    changes = [parse_setting(text, known) for text in settings]
    flags = (("retrain", "epochs", epochs), ("run", "seed", seed), ("run", "jobs", jobs))
    changes += [flag for flag in flags if flag[2] is not None]
    if any((section, name) == (EXECUTOR, "part") for section, name, _ in changes):
        sections[EXECUTOR] = {}  # it does not have the options of the one before
    for section, name, value in changes:
        is_of_section = section in (*SLOTS, "data", "search") and (section, name) != ("data", "folds")
        if is_of_section or name in OF_SEARCH.get(section, ()):
            raise InputError(
                f"'{section}.{name}' belongs to the search, which 'nasplug retrain' does not repeat; it takes "
                f"options of retrain, select, budget, run, executor and cost measures, and data.folds. For another "
                f"search: {command('run', '--config', source / 'recipe.toml')}"
            )
        if same_networks and (section not in OF_TRAINING or (section, name) in SIZES):
            raise _refuse_selection(f"--set {section}.{name}")
        if section == "select" and name in SHORTHANDS:
            section, name = "budget", SHORTHANDS[name]
        if (section, name) == ("select", "measures"):
            drop_other_measures(plugins, sections, build(SelectOptions, {name: value}, section).measures)
        sections.setdefault(section, {})[name] = value
    recipe = resolve_recorded(plugins, sections, source).to_dict()
    recipe["plugins"] |= old.recipe()["plugins"]
    with new_folder(out) as new:
        for name in (*COPIED, SELECTION) if same_networks else COPIED:
            copy_whole(old.path / name, new.path / name)
        keep_phases(new.events, ("teacher", "search"))
        new.write_recipe(recipe | {"environment": environment(typed_words())})
        context = reopen_context(new, plugins, ranks)
        if context.recipe.run.table != before.get("table"):
            adopt_table(context)
        replace_teacher(context, before)
        refuse_validation(context)
        refuse_missing_teacher(context)
        with closing(plan_first_trainings(context, Signals())) as steps:  # now: it refuses budgets that nothing keeps
            show_progress(steps, PrintableConsole())
    show_notes(context, echo)
    complete_run(context)


def _refuse_selection(option: str) -> InputError:
    return InputError(
        f"--same-networks trains the networks that the earlier run has selected, with their sizes and costs on record, "
        f"and {option} asks for others; leave out one of them."
    )


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
def report(folder: Path) -> None:
    """Write the report of RUN again."""
    path = write_run_report(RunFolder.existing(folder), load_plugins())
    echo(f"Report: {path}")
