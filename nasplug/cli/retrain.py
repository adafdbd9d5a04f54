"""`nasplug retrain` and `nasplug report`: later phases of an earlier run again."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import click

from nasplug.cli.output import echo
from nasplug.cli.run import complete_run
from nasplug.compose import parse_setting, resolve_recorded
from nasplug.errors import InputError, command
from nasplug.plugins import load_plugins
from nasplug.runs.context import note_changed_recipe, reopen_context, show_notes
from nasplug.runs.create import new_folder
from nasplug.runs.pipeline import plan_networks, write_run_report
from nasplug.runs.tabular import adopt_table
from nasplug.store.events import keep_phases
from nasplug.store.run_folder import RunFolder
from nasplug.values.recipe import SLOTS

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


@click.command()
@click.argument("source", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Run folder.  [default: a new one under runs/]")
@click.option("--epochs", type=int, help="Epochs of each retraining.")
@click.option("--max-params", type=int, help="Largest number of parameters of a network.")
@click.option("--max-macs", type=int, help="Largest number of multiply-accumulates of a network.")
@click.option(
    "--set", "settings", multiple=True, metavar="SECTION.OPTION=VALUE", help="Options of retrain, select, run."
)
def retrain(
    source: Path,
    out: Path | None,
    epochs: int | None,
    max_params: int | None,
    max_macs: int | None,
    settings: Sequence[str],
) -> None:
    """Select and retrain again from the trail of RUN, with other options, into a new run folder."""
    plugins = load_plugins()
    old = RunFolder.existing(source)
    old.refuse_links()
    if old.done("search") is None:
        raise InputError(f"The search of '{source}' is not finished; go on with: {command('resume', source)}")
    note_changed_recipe(old)
    sections = {name: dict(section) for name, section in old.recipe_layer().items()}
    table = sections["run"].get("table")
    given = [("retrain", "epochs", epochs), ("select", "max_params", max_params), ("select", "max_macs", max_macs)]
    changes = [change for change in given if change[2] is not None] + [parse_setting(text) for text in settings]
    for section, name, value in changes:
        if section in SLOTS or section in ("data", "search"):
            raise InputError(
                f"'{section}.{name}' belongs to the search, which 'nasplug retrain' does not repeat; it takes "
                f"options of retrain, select and run. For another search: "
                f"{command('run', '--config', source / 'recipe.toml')}"
            )
        sections[section][name] = value
    resolve_recorded(plugins, sections, source)
    with new_folder(out) as new:
        for name in COPIED:
            _copy(old.path / name, new.path / name)
        keep_phases(new.events, ("teacher", "search"))
        new.write_recipe(old.recipe() | sections)
        context = reopen_context(new, plugins)
        if context.recipe.run.table != table:
            adopt_table(context)
        plan_networks(context)  # now, because it refuses limits that no architecture keeps
    show_notes(context, echo)
    complete_run(context)


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
def report(folder: Path) -> None:
    """Write the report of RUN again."""
    path = write_run_report(RunFolder.existing(folder), load_plugins())
    echo(f"Report: {path}")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.exists():
        shutil.copy2(source, target)
