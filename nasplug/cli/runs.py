"""`nasplug runs`: what has become of runs, in what two of them differ, and removing them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from nasplug.cli.output import echo
from nasplug.cli.runs_diff import diff
from nasplug.cli.runs_remove import remove
from nasplug.cli.tables import write_rows
from nasplug.report.number_format import format_percent
from nasplug.store.network_result import NetworkResult
from nasplug.store.run_state import RunState, find_runs, read_run_state
from nasplug.values.cost import describe_costs

NONE = "-"
FOLDER = Path("runs")


class RunsGroup(click.Group):
    """Commands about runs; words that name none of them are those of `list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with `list` before words that begin with no command."""
        if not ctx.resilient_parsing and (not args or args[0] not in (*self.commands, *ctx.help_option_names)):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=RunsGroup, subcommand_metavar="[FOLDER] | COMMAND [ARGS]...")
def runs() -> None:
    """List the runs in FOLDER (default: runs), compare two of them, or remove some.

    `nasplug runs FOLDER` is short for `nasplug runs list FOLDER`.
    """


@runs.command("list")
@click.argument("folder", required=False, default=FOLDER, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
def list_runs(folder: Path, as_json: bool) -> None:
    """The runs in FOLDER and in the sweeps in it: their state, and cost and errors of their best networks.

    A run is done, going on (a process holds its lock), stopped (nasplug resume continues it), failed (the same), or
    damaged: a line below the table says what is wrong. The best network is the one that the run chose by validation
    error; its cost is what the budget limits, else its parameters. Folders that are no runs are passed over.
    """
    states = [read_run_state(path) for path in find_runs(folder)]
    if as_json:
        echo(json.dumps([_plain(state) for state in states], indent=2))
    elif not states:
        echo(f"There is no run in '{folder}'.")
    else:
        _write(states)


def _write(states: Sequence[RunState]) -> None:
    header = ["run", "state", "method", "space", "data", "seed", "last change", "validation error", "test error"]
    write_rows([*header, "cost"], [_row(state) for state in states])
    echo()
    counts = Counter(state.state for state in states)
    several = "run" if len(states) == 1 else "runs"
    echo(f"{len(states)} {several}: {', '.join(f'{count} {state}' for state, count in counts.items())}.")
    for state in states:
        if state.problem:
            echo(f"{state.folder} is damaged: {state.problem}")


def _row(state: RunState) -> list[str]:
    best = _best(state)
    known = [state.method, state.space, state.dataset, state.seed]
    return [
        str(state.folder),
        state.state,
        *(word or NONE for word in known),
        NONE if state.changed is None else f"{datetime.fromtimestamp(state.changed):%Y-%m-%d %H:%M}",
        _percent(best.selection_error if best else None),
        _percent(best.test_error if best else None),
        NONE if best is None or state.result is None else describe_costs(_decisive_costs(best), state.result.units),
    ]


def _best(state: RunState) -> NetworkResult | None:
    return None if state.result is None else state.result.network(state.result.best)


def _decisive_costs(network: NetworkResult) -> dict[str, float]:
    """The costs that its budget limits, as far as they are known; without a budget the parameters."""
    limited = {name: network.costs[name] for name in network.budget if name in network.costs}
    return limited or {"params": network.costs.params}


def _percent(error: float | None) -> str:
    return NONE if error is None else format_percent(error)


def _plain(state: RunState) -> dict[str, Any]:
    best = _best(state)
    return {
        "run": str(state.folder),
        "state": state.state,
        "method": state.method or None,
        "space": state.space or None,
        "dataset": state.dataset or None,
        "seed": int(state.seed) if state.seed.isdecimal() else None,
        "changed": None
        if state.changed is None
        else datetime.fromtimestamp(state.changed).astimezone().isoformat(timespec="seconds"),
        "networks": 0 if state.result is None else len(state.result.networks),
        "best": None
        if best is None
        else {
            "id": best.id,
            "costs": dict(best.costs),
            "val_error": best.val_error,
            "selection_error": best.selection_error,
            "test_error": best.test_error,
        },
        "problem": state.problem or None,
    }


runs.add_command(diff)
runs.add_command(remove)
