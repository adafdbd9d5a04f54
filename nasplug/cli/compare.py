"""`nasplug compare`: runs side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from nasplug.cli.output import echo
from nasplug.report.methods import ComparedRun, Group, MethodComparison, Spread, read_comparison, write_comparison
from nasplug.report.methods.groups import measures_of
from nasplug.report.methods.tables import TextTable, group_table, legend, run_table

PAGE = Path("compare.html")


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="HTML page to write.  [default: compare.html]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; a page is written only where --out names one.")
def compare(runs: Sequence[Path], out: Path | None, as_json: bool) -> None:
    """Methods against random and reference networks over seeds: mean, spread and cost.

    A row stands for the finished runs of one method, space, data set and preset with the same options; only their
    seeds differ. The tables are Markdown. The same is written as an HTML page with charts.
    """
    comparison = read_comparison(runs)
    page = PAGE if out is None and not as_json else out
    if page is not None:
        write_comparison(comparison, page)
    if as_json:
        echo(json.dumps(_plain(comparison), indent=2))
        return
    _write_table(group_table(comparison.groups))
    _write_table(run_table(comparison.groups))
    for line in (*legend(comparison.groups), *comparison.notes):
        echo(line)
    echo(f"\nPage: {page}")


def _write_table(table: TextTable) -> None:
    """A Markdown table whose figures stand to the right."""
    names, rows, numbers = table
    widths = [max(len(row[column]) for row in (names, *rows)) for column in range(len(names))]
    first = len(names) - numbers
    rule = ["-" * width if column < first else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    for row in (names, rule, *rows):
        texts = [cell.replace("\n", "\\n") for cell in row]  # a row is one line
        cells = [
            text.ljust(width) if column < first else text.rjust(width)
            for column, (text, width) in enumerate(zip(texts, widths, strict=True))
        ]
        echo(f"| {' | '.join(cells)} |")
    echo()


def _plain(comparison: MethodComparison) -> dict[str, Any]:
    return {
        "groups": [_group(group) for group in comparison.groups],
        "unfinished": [run.folder for run in comparison.unfinished],
        "notes": list(comparison.notes),
    }


def _group(group: Group) -> dict[str, Any]:
    comparison = group.comparison
    return {
        "method": group.method,
        "space": group.space,
        "dataset": group.dataset,
        "preset": group.preset,
        "options": list(group.variant),
        "pairs": len(comparison.pairs) if comparison else 0,
        "params": _spread(group.cost("params")),
        "costs": {name: _spread(group.cost(name)) for name in measures_of([group])},
        "test_accuracy": _spread(group.accuracy),
        "random_minus_found": _spread(group.gain),
        "interval": group.gain.interval if group.gain else None,
        "standard_error_over_pairs": comparison.standard_error if comparison else None,
        "reference_minus_found": _spread(group.reference_gain),
        "reference_interval": group.reference_gain.interval if group.reference_gain else None,
        "reference_standard_error": group.reference_gain.standard_error if group.reference_gain else None,
        "search_seconds": _spread(group.search_seconds),
        "seconds": _spread(group.seconds),
        "devices": list(group.devices),
        "runs": [_run(run) for run in group.runs],
    }


def _run(run: ComparedRun) -> dict[str, Any]:
    beside = run.reference_comparison
    return {
        "run": run.folder,
        "seed": run.seed,
        "best": run.best.id if run.best else None,
        "params": run.best.params if run.best else None,
        "costs": dict(run.best.costs) if run.best else None,
        "macs": run.best.macs if run.best else None,
        "test_accuracy": run.accuracy,
        "pairs": len(run.comparison.pairs) if run.comparison else 0,
        "random_minus_found": run.gain,
        "reference": beside.reference.reference if beside else None,
        "reference_params": beside.reference.params if beside else None,
        "reference_minus_found": run.reference_gain,
        "search_seconds": run.search_seconds,
        "seconds": run.seconds,
        "devices": list(run.devices),
    }


def _spread(values: Spread | None) -> dict[str, Any] | None:
    return None if values is None else {"mean": values.mean, "deviation": values.deviation}
