"""`nasplug run` and `nasplug resume`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from nasplug.cli.dry_run import write_estimate
from nasplug.cli.output import echo
from nasplug.cli.run_options import read_flags, read_run_options, run_options
from nasplug.cli.shared import shared_by_ranks
from nasplug.cli.tables import write_table
from nasplug.cli.typed_words import typed_words
from nasplug.compose import parse_setting
from nasplug.engine.ranks import Ranks
from nasplug.plugins import Plugins, load_plugins
from nasplug.runs.context import RunContext, reopen_context, show_notes
from nasplug.runs.create import change_run_options, start
from nasplug.runs.defaults import resolve_recipe
from nasplug.runs.memory import keep_freed_memory
from nasplug.runs.pipeline import run_pipeline
from nasplug.runs.ranks import announce
from nasplug.runs.signals import Signals
from nasplug.store.result import read_result
from nasplug.store.run_folder import RunFolder
from nasplug.ui import PrintableConsole, class_table, result_table, show_progress
from nasplug.values.recipe import EXECUTOR

PLAIN_WIDTH = 120
"""Columns of tables where there is no terminal to ask."""


@click.command()
@run_options()
@click.option("--out", type=click.Path(path_type=Path), help="Run folder.  [default: a new one under runs/]")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print the recipe, and on stderr the phases and an estimate of time and memory; no run.",
)
@shared_by_ranks
def run(ranks: Ranks, /, out: Path | None, dry_run: bool, **options: Any) -> None:
    """Search, retrain, compare with random networks, and report.

    Sections for --set: space, optimizer, schedule, teacher, data, search, retrain, select, budget, executor, run, and
    the names of cost measures; `nasplug show NAME` lists the options of a part.
    """
    plugins = load_plugins()
    recipe = resolve_recipe(plugins, read_run_options(plugins, **options))
    if dry_run:
        keep_freed_memory()
        write_estimate(plugins, recipe)
        return
    context = start(out, plugins, recipe, typed_words(), ranks)
    _print_preset(context, plugins)
    show_notes(context, echo)
    complete_run(context)


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--device", help="auto, cpu, cuda or cuda:N, in place of the device of the run.")
@click.option("--jobs", type=int, help="Retrainings at a time, in place of the number of the run.")
@click.option("--threads", type=int, help="CPU threads of a phase that runs alone, in place of the number of the run.")
@click.option("--executor", help="By what retrainings are carried out, in place of the executor of the run.")
@click.option("--set", "settings", multiple=True, metavar="executor.OPTION=VALUE", help="Options of the executor.")
@shared_by_ranks
def resume(ranks: Ranks, /, folder: Path, settings: Sequence[str], **flags: Any) -> None:
    """Go on with a run that was stopped, exactly where it stood.

    The options replace those of the run for good. Another device or number of threads computes the same, but for
    rounding: the last digits may differ from those of a run that was never stopped.
    """
    plugins = load_plugins()
    run_folder = RunFolder.existing(folder)
    changes = {section: dict(options) for section, options in read_flags(flags).items()}
    for text in settings:
        section, name, value = parse_setting(text, (EXECUTOR,), "section that can be changed now")
        changes.setdefault(section, {})[name] = value
    if changes:
        change_run_options(run_folder, plugins, changes)
    context = reopen_context(run_folder, plugins, ranks)
    show_notes(context, echo)
    complete_run(context)


def complete_run(context: RunContext) -> None:
    """Carries a run to its end and prints its result."""
    announce(context)
    keep_freed_memory()
    console = PrintableConsole()
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    signals = click.get_current_context().obj or Signals()
    with signals.watching(), closing(run_pipeline(context, signals)) as progress:
        console.print(f"Run folder: {context.folder.path}", soft_wrap=True)
        show_progress(progress, console)
    result = read_result(context.folder.path)
    write_table(result_table(result))
    if (by_class := class_table(result)) is not None:
        write_table(by_class)
    report = context.folder.path / "report.html"
    if report.is_file():
        console.print(f"Report: {report}", soft_wrap=True)


def _print_preset(context: RunContext, plugins: Plugins) -> None:
    options = context.recipe.run
    method = plugins.resolve(plugins.find("method", options.method))
    paper = f"; the paper's constants are in --preset {method.paper}" if method.paper else ""
    echo(f"{options.method} with preset {options.preset} on {context.device} ({context.data.name}){paper}.")
    if device_options := str(context.device_options):
        echo(f"On this device: {device_options}.")
