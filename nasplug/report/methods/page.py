"""A comparison as one page."""

from __future__ import annotations

from html import escape
from pathlib import Path

from nasplug.errors import InputError
from nasplug.report.markup import Html, chart, document, section, table, write
from nasplug.report.methods.charts import errors, gains
from nasplug.report.methods.groups import Field, Group
from nasplug.report.methods.verdict import verdict
from nasplug.report.methods.words import GROUP_NUMBERS, LEGEND, RUN_NUMBERS, group_table, run_table


def write_comparison(field: Field, path: Path) -> None:
    """Writes the comparison to `path`, one HTML file that needs nothing else, replacing an earlier one.

    InputError for a file of another kind; RunFailure if it cannot be written.
    """
    if path.suffix != ".html":
        raise InputError(f"The comparison is an HTML page, but '{path}' does not end in '.html'.")
    write(path, page(field))


def page(field: Field) -> str:
    """The comparison as HTML that refers to nothing outside itself."""
    data: dict[str, list[Group]] = {}
    for group in field.groups:
        data.setdefault(group.dataset, []).append(group)
    notes = "".join(f'<p class="state">{escape(note)}</p>' for note in field.notes)
    legend = "".join(f'<p class="small">{escape(line)}</p>' for line in LEGEND)
    parts = [
        "<h1>Methods against random networks</h1>",
        '<p class="lead">Every found network stands beside a random one of its size, trained in the same way.</p>',
        notes,
        *(_data_set(number, name, groups) for number, (name, groups) in enumerate(data.items())),
        section("How to read the figures", legend),
        section("Runs", _runs(field)),
    ]
    return document("nasplug: methods against random networks", parts)


def _data_set(number: int, name: str, groups: list[Group]) -> str:
    heads, rows = group_table(groups)
    said = "".join(f"<p>{escape(verdict(group))}</p>" for group in groups)
    figures = table(heads[1:], [row[1:] for row in rows], numbers=len(GROUP_NUMBERS))
    charts = ""
    if any(group.gain for group in groups):
        caption = (
            "What the search is worth: points are runs, diamonds their mean, lines its 95 % interval, cut at the border"
        )
        charts += chart(gains(f"gains{number}", groups), caption)
    if any(each.test_error is not None for group in groups for run in group.runs for each in run.networks):
        caption = "Every network of every run; a thin line joins a found network and the random one of its size"
        charts += chart(errors(f"errors{number}", groups), caption)
    return section(name, said + figures + f'<div class="charts">{charts}</div>' if charts else said + figures)


def _runs(field: Field) -> str:
    heads, rows = run_table(field.groups)
    return table(heads, [[Html(f"<code>{escape(row[0])}</code>"), *row[1:]] for row in rows], numbers=len(RUN_NUMBERS))
