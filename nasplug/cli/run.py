"""`nasplug run` and `nasplug resume`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from nasplug.cli.budget import budget_options, read_budget_options
from nasplug.cli.dry_run import write_estimate
from nasplug.cli.output import echo
from nasplug.cli.tables import write_table
from nasplug.compose import OptionLayer, parse_setting, read_config, recipe_sections
from nasplug.plugins import Plugins, load_plugins
from nasplug.runs.context import RunContext, reopen_context, show_notes
from nasplug.runs.create import change_run_options, start
from nasplug.runs.defaults import resolve_recipe
from nasplug.runs.memory import keep_freed_memory
from nasplug.runs.pipeline import run_pipeline
from nasplug.runs.signals import Signals
from nasplug.store.result import read_result
from nasplug.store.run_folder import RunFolder
from nasplug.ui import PrintableConsole, result_table, show_progress
from nasplug.values.recipe import SLOTS

PLAIN_WIDTH = 120
"""Columns of tables where there is no terminal to ask."""

FLAGS = {
    "method": ("run", "method"),
    "preset": ("run", "preset"),
    "seed": ("run", "seed"),
    "device": ("run", "device"),
    "precision": ("run", "precision"),
    "jobs": ("run", "jobs"),
    "threads": ("run", "threads"),
    "teacher_from": ("run", "teacher_from"),
    "table": ("run", "table"),
    "data": ("data", "name"),
    "data_root": ("data", "root"),
    "download": ("data", "download"),
    "epochs": ("search", "epochs"),
    **{slot: (slot, "part") for slot in SLOTS},
}
"""Where each flag of `nasplug run` goes in the recipe."""


@click.command()
@click.option("--method", help="Recipe to follow: one part per slot and their options.  [default: the preferred one]")
@click.option("--space", help="Search space, in place of the method's.")
@click.option("--optimizer", help="Architecture optimizer, in place of the method's.")
@click.option("--schedule", help="Pruning schedule, in place of the method's.")
@click.option("--teacher", help="Distillation teacher, in place of the method's.")
@click.option("--data", help="Data set: digits, cifar10, cifar100, fashion-mnist, folder:PATH, arrays:PATH.")
@click.option("--data-root", type=click.Path(), help="Folder in which data sets keep their files.")
@click.option("--download", is_flag=True, default=None, help="Fetch missing files of a data set.")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder.  [default: a new one under runs/]")
@click.option("--seed", type=int, help="Seed of everything random.  [default: 0]")
@click.option("--epochs", type=int, help="Epochs of the search.")
@click.option("--device", help="auto, cpu, cuda or cuda:N.  [default: auto]")
@click.option("--precision", help="auto, float32 or bf16.  [default: auto; float32 in paper presets]")
@click.option("--preset", help="Preset of the method: tiny, laptop, or the paper's.  [default: laptop]")
@click.option("--jobs", type=int, help="Retrainings at a time.  [default: the number of CPU cores; 1 on CUDA]")
@click.option("--threads", type=int, help="CPU threads of a phase that runs alone.  [default: the number of cores]")
@budget_options(
    "The most that a network may cost, such as params=50k, memory=64KB or latency=2ms; may be repeated. Networks are "
    "made as large as it allows. Several limits (params=20k,50k) give networks within each."
)
@click.option(
    "--reference",
    "references",
    multiple=True,
    metavar="NAME",
    help="Hand-designed network to compare with; may be repeated.  [default: plain, resnet8]",
)
@click.option("--teacher-from", help="Run folder or weights file whose network is the teacher.")
@click.option("--table", type=click.Path(), help="CSV table of nb201: networks in it are looked up, not retrained.")
@click.option("--config", type=click.Path(path_type=Path), help="Recipe to start from, such as a run's recipe.toml.")
@click.option("--set", "settings", multiple=True, metavar="SECTION.OPTION=VALUE", help="Any option of any part.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print the recipe, and on stderr the phases and an estimate of time and memory; no run.",
)
def run(
    out: Path | None,
    config: Path | None,
    settings: Sequence[str],
    dry_run: bool,
    budgets: Sequence[str],
    max_params: int | None,
    max_macs: int | None,
    references: Sequence[str],
    **flags: Any,
) -> None:
    """Search, retrain, compare with random networks, and report.

    Sections for --set: space, optimizer, schedule, teacher, data, search, retrain, select, budget, run, and the names
    of cost measures; `nasplug show NAME` lists the options of a part.
    """
    plugins = load_plugins()
    sections = recipe_sections(plugins)
    layers = [read_config(config, sections)] if config else []
    layers += [_read_flags(flags), {"budget": read_budget_options(budgets, max_params, max_macs)}]
    layers += [{"select": {"references": list(references)}}] if references else []
    given = [parse_setting(text, sections) for text in settings]
    layers += [{section: {name: value}} for section, name, value in given]
    recipe = resolve_recipe(plugins, layers)
    if dry_run:
        keep_freed_memory()
        write_estimate(plugins, recipe)
        return
    context = start(out, plugins, recipe, ["nasplug", *sys.argv[1:]])
    _print_preset(context, plugins)
    show_notes(context, echo)
    complete_run(context)


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--device", help="auto, cpu, cuda or cuda:N, in place of the device of the run.")
@click.option("--jobs", type=int, help="Retrainings at a time, in place of the number of the run.")
@click.option("--threads", type=int, help="CPU threads of a phase that runs alone, in place of the number of the run.")
def resume(folder: Path, **flags: Any) -> None:
    """Go on with a run that was stopped, exactly where it stood.

    The options replace those of the run for good. Another device or number of threads computes the same, but for
    rounding: the last digits may differ from those of a run that was never stopped.
    """
    plugins = load_plugins()
    run_folder = RunFolder.existing(folder)
    if changes := _read_flags(flags):
        change_run_options(run_folder, plugins, changes["run"])
    context = reopen_context(run_folder, plugins)
    show_notes(context, echo)
    complete_run(context)


def complete_run(context: RunContext) -> None:
    """Carries a run to its end and prints its result."""
    keep_freed_memory()
    console = PrintableConsole()
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    signals = click.get_current_context().obj or Signals()
    with signals.watching(), closing(run_pipeline(context, signals)) as progress:
        console.print(f"Run folder: {context.folder.path}", soft_wrap=True)
        show_progress(progress, console)
    write_table(result_table(read_result(context.folder.path)))
    report = context.folder.path / "report.html"
    if report.is_file():
        console.print(f"Report: {report}", soft_wrap=True)


def _read_flags(flags: dict[str, Any]) -> OptionLayer:
    layer: dict[str, dict[str, Any]] = {}
    for name, value in flags.items():
        if value is not None:
            section, key = FLAGS[name]
            layer.setdefault(section, {})[key] = value
    return layer


def _print_preset(context: RunContext, plugins: Plugins) -> None:
    options = context.recipe.run
    method = plugins.resolve(plugins.find("method", options.method))
    paper = f"; the paper's constants are in --preset {method.paper}" if method.paper else ""
    echo(f"{options.method} with preset {options.preset} on {context.device} ({context.data.name}){paper}.")
    if device_options := str(context.device_options):
        echo(f"On this device: {device_options}.")
