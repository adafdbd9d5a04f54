"""`nasplug rank`: whether the order in which a search has left architectures is that of their errors."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from nasplug.cli.output import echo
from nasplug.cli.run import complete_run
from nasplug.cli.tables import write_markdown
from nasplug.cli.typed_words import typed_words
from nasplug.errors import InputError, command
from nasplug.plugins import load_plugins
from nasplug.report.ranking import LEGEND, agreement_table, read_ranking, write_ranking_page
from nasplug.runs.context import note_changed_recipe, reopen_context
from nasplug.runs.memory import keep_freed_memory
from nasplug.runs.ranking import is_sample, ranking_recipe, start_ranking
from nasplug.runs.same_run import adopt_machine_options, asked_of_machine, refuse_other_run
from nasplug.store.run_folder import RunFolder, write_json
from nasplug.store.run_state import is_run
from nasplug.ui import PrintableConsole, show_progress

FEWEST = 3
"""Networks of the smallest sample that has an order worth a figure."""


@click.command()
@click.argument("source", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--networks", type=click.IntRange(FEWEST, 10_000), default=20, show_default=True, help="Sample size.")
@click.option("--epochs", type=int, help="Epochs of each training.  [default: those of the retraining of RUN]")
@click.option("--table", type=click.Path(), help="CSV table of nb201: networks in it are looked up, not trained.")
@click.option("--jobs", type=int, help="Trainings at a time, in place of the number of RUN.")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder of the sample.  [default: RUN/rank]")
def rank(source: Path, networks: int, out: Path | None, **flags: Any) -> None:
    """Train a sample of the architectures that the search of RUN has ordered, and compare the two orders.

    The order is that of the summed ratings of paths where the search rated paths; else that of the errors that the
    trained supernet has with one architecture alone, and that of the weights of candidates where alpha was learnt. The
    sample is spread evenly over it, scaled to the budget of RUN and trained by its recipe of retraining. Prints
    Kendall's tau, Spearman's rank correlation and what is lost by training only the best of the order, each with
    a 95 % interval. A sample that was stopped goes on where it was, with --jobs as now asked for. RUN itself is left as
    it is.
    """
    plugins = load_plugins()
    old = RunFolder.existing(source)
    if old.done("search") is None:
        raise InputError(f"The search of '{source}' is not finished; go on with: {command('resume', source)}")
    if is_sample(old):
        raise InputError(
            f"'{source}' is a sample that 'nasplug rank' has trained, with no search of its own; name the run of that "
            f"search."
        )
    folder = source / "rank" if out is None else out
    changes = _read_changes(networks, **flags)
    recipe = ranking_recipe(plugins, old, changes)
    if is_run(folder):
        refuse_other_run(plugins, folder, recipe)
        adopt_machine_options(plugins, folder, recipe, asked_of_machine([changes]))
    else:
        note_changed_recipe(old)
        keep_freed_memory()
        with closing(start_ranking(reopen_context(old, plugins), folder, recipe, typed_words())) as steps:
            show_progress(steps, PrintableConsole())
    complete_run(reopen_context(RunFolder(folder), plugins))
    ranking = read_ranking(folder)
    write_json(folder / "rank.json", ranking.to_dict())
    write_ranking_page(ranking, folder / "rank.html")
    echo(f"\n{ranking.describe()}\n")
    write_markdown(*agreement_table(ranking))
    for line in LEGEND:
        echo(line)
    echo(f"\nPage: {folder / 'rank.html'}")


def _read_changes(networks: int, epochs: int | None, table: str | None, jobs: int | None) -> dict[str, dict[str, Any]]:
    """What the options change in the recipe of the run, by section."""
    run = {name: value for name, value in (("table", table), ("jobs", jobs)) if value is not None}
    retrain = {} if epochs is None else {"epochs": epochs}
    return {"select": {"networks": networks}, "run": run, "retrain": retrain}
