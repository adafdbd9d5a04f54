"""`nasplug runs remove`: removes what runs have written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from nasplug.cli.output import echo
from nasplug.errors import InputError, quote
from nasplug.report.number_format import format_memory
from nasplug.store.run_removal import Removal, plan_removal, remove_run
from nasplug.store.run_state import read_run_state


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def remove(ctx: click.Context, runs: Sequence[Path], yes: bool) -> None:
    """Remove runs: what nasplug has written in the folders RUN, and these, if nothing else is in them.

    Whatever else is there is named, and stays: your own files, runs within the run (those of nasplug rank), what
    observers have written, symbolic links. A run that goes on is refused, and so is a folder that is no run; then none
    is removed.
    """
    places = Counter(os.path.realpath(run) for run in runs)
    if twice := next((run for run in runs if places[os.path.realpath(run)] > 1), None):
        raise InputError(f"The run {quote(twice)} is named twice; a run is removed once.")
    removals = [plan_removal(run) for run in runs]
    for removal in removals:
        _describe(removal)
    which = "this run" if len(removals) == 1 else f"these {len(removals)} runs"
    if not (yes or click.confirm(f"Remove {which}?")):
        echo("Nothing was removed.")
        ctx.exit(1)
    for removal in removals:
        remove_run(removal)
        echo(f"Removed {removal.folder}{', but for what is kept' if removal.kept else ''}.")


def _describe(removal: Removal) -> None:
    state = read_run_state(removal.folder)
    what = " on ".join(filter(None, (state.method, state.dataset)))
    size = format_memory(removal.size)
    echo(f"{removal.folder}: {', '.join(filter(None, (what, state.state)))}; {len(removal.files)} files, {size}")
    if removal.kept:
        echo(f"  kept: {', '.join(removal.kept)}")
