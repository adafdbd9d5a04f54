"""`nasplug runs diff`: in what two runs differ."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import click

from nasplug.cli.output import echo
from nasplug.cli.tables import write_rows
from nasplug.errors import InputError, quote
from nasplug.report.number_format import format_percent, format_setting
from nasplug.report.run_difference import FigureDifference, OptionDifference, RunDifference, find_difference
from nasplug.store.run_state import RunState, is_run, read_run_state

NONE = "-"
UNSET = "unset"
COMMAND = "environment.command"
"""What is a list of words."""


@click.command()
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("second", metavar="B", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
def diff(first: Path, second: Path, as_json: bool) -> None:
    """In what the runs A and B differ: options of their recipes, and costs and errors of their networks.

    Options that say where and with which versions a run was carried out are apart from those that decide what it
    computes. Networks are the same if they have the same id: architecture, size and the network that they are matched
    to. Figures are compared in every digit. The exit code is 0, whether there are differences or not.
    """
    runs = _read(first), _read(second)
    difference = find_difference(*runs)
    if as_json:
        echo(json.dumps(_plain(runs, difference), indent=2, default=str))  # TOML has dates
    else:
        _write(runs, difference)


def _read(folder: Path) -> RunState:
    if not is_run(folder):
        raise InputError(f"{quote(folder)} is no run folder: it has no recipe.toml. Name the folders of two runs.")
    state = read_run_state(folder)
    if state.problem:
        raise InputError(state.problem)
    return state


def _write(runs: Sequence[RunState], difference: RunDifference) -> None:
    folders = [str(run.folder) for run in runs]
    _write_options("Options that decide what is computed:", difference.options, folders)
    _write_options("Where, by what and with which versions:", difference.circumstances, folders)
    if difference.figures:
        echo("Results:\n")
        write_rows(["network", "role", "figure", *folders], [_row(each) for each in difference.figures])
        echo()
    if difference.images:
        echo(f"They have other images ({', '.join(difference.images)}); do not compare errors on them.")
    if difference.is_empty:
        only = ", but for where they were carried out" if difference.circumstances else ""
        echo(f"The runs have the same recipe and the same results{only}: {_networks(difference.equal_networks)}.")
    elif difference.equal_networks:
        echo(f"The same in both: {_networks(difference.equal_networks)}.")


def _write_options(title: str, differences: Sequence[OptionDifference], folders: Sequence[str]) -> None:
    if differences:
        echo(f"{title}\n")
        write_rows(["option", *folders], [_option(each) for each in differences])
        echo()


def _option(difference: OptionDifference) -> list[str]:
    shown = shlex.join if difference.name == COMMAND else format_setting
    return [difference.name, *(UNSET if value is None else shown(value) for value in difference.values)]


def _row(difference: FigureDifference) -> list[str]:
    values = (_figure(value, difference) for value in difference.values)
    return [difference.network, difference.role, difference.figure, *values]


def _figure(value: float | str | None, difference: FigureDifference) -> str:
    if value is None:
        return NONE
    if isinstance(value, str):
        return value
    return format_percent(value) if difference.unit is None else difference.unit.format(value)


def _networks(count: int) -> str:
    return f"{count} {'network' if count == 1 else 'networks'}"


def _plain(runs: Sequence[RunState], difference: RunDifference) -> dict[str, Any]:
    return {
        "runs": [str(run.folder) for run in runs],
        "equal": difference.is_empty,
        "options": {each.name: list(each.values) for each in difference.options},
        "circumstances": {each.name: list(each.values) for each in difference.circumstances},
        "figures": [
            attrs.asdict(each, filter=attrs.filters.exclude(attrs.fields(FigureDifference).unit))
            for each in difference.figures
        ],
        "equal_networks": difference.equal_networks,
        "images": list(difference.images),
    }
