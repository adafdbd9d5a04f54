"""A comparison of methods as one page."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from nasplug.errors import InputError
from nasplug.report.methods.charts import draw_errors, draw_gains
from nasplug.report.methods.groups import Group, MethodComparison
from nasplug.report.methods.tables import describe_gains, group_table, has_references, legend, run_table
from nasplug.report.templating import render, write_page

GAINS = "What the search is worth: points are runs, diamonds their mean, lines its 95 % interval, cut at the border"
REFERENCE_GAINS = "What it is worth beside a design by hand: the best reference network minus the best found one"
ERRORS = "Every network of every run; a thin line joins a found network and the random one of its size"


def write_comparison(comparison: MethodComparison, path: Path) -> None:
    """Writes the comparison to `path`, one HTML file that needs nothing else, replacing an earlier one.

    InputError for a file of another kind; RunFailure if it cannot be written.
    """
    if path.suffix != ".html":
        raise InputError(f"The comparison is an HTML page, but '{path}' does not end in '.html'.")
    write_page(path, render_comparison(comparison))


def render_comparison(comparison: MethodComparison) -> str:
    """The comparison as HTML that refers to nothing outside itself."""
    data_sets: dict[str, list[Group]] = {}
    for group in comparison.groups:
        data_sets.setdefault(group.dataset, []).append(group)
    runs = run_table(comparison.groups)
    return render(
        "comparison.html.j2",
        notes=comparison.notes,
        data_sets=[_data_set(number, name, groups) for number, (name, groups) in enumerate(data_sets.items())],
        legend=legend(comparison.groups),
        run_columns=runs.columns,
        run_rows=[[Markup("<code>{}</code>").format(row[0]), *row[1:]] for row in runs.rows],
        run_numbers=runs.numbers,
    )


def _data_set(number: int, name: str, groups: list[Group]) -> tuple[object, ...]:
    """Name, sentences, columns and rows without the data set, figures in a row, and charts with their captions."""
    columns, rows, numbers = group_table(groups)
    charts = []
    if any(group.gain for group in groups):
        charts.append((draw_gains(f"gains{number}", groups, [group.gain for group in groups], "random"), GAINS))
    if has_references(groups):
        gains = [group.reference_gain for group in groups]
        charts.append((draw_gains(f"references{number}", groups, gains, "reference"), REFERENCE_GAINS))
    if any(network.test_error is not None for group in groups for run in group.runs for network in run.networks):
        charts.append((draw_errors(f"errors{number}", groups), ERRORS))
    sentences = [sentence for group in groups for sentence in describe_gains(group)]
    return name, sentences, columns[1:], [row[1:] for row in rows], numbers, charts
