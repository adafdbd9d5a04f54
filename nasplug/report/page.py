"""The page as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from nasplug.errors import RunFailure
from nasplug.report import course, facts, outcome
from nasplug.report.record import Record, read_record
from nasplug.report.style import style_sheet
from nasplug.values import Drawing


def write_report(run: Path, drawings: Mapping[str, Sequence[Drawing]]) -> Path:
    """Writes `report.html` into the run folder `run` and returns its path.

    `drawings` has the cells of each network by its id; a network without is listed but not drawn. Runs that are not
    finished get a report of what there is. The same folder gives the same file, byte for byte. Raises InputError if
    recipe or result is missing or damaged, RunFailure if the file cannot be written.
    """
    text = page(read_record(run), drawings)
    path = run / "report.html"
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise RunFailure(f"'{path}' cannot be written: {error.strerror}.") from error
    return path


def page(record: Record, drawings: Mapping[str, Sequence[Drawing]]) -> str:
    """The report as HTML that refers to nothing outside itself."""
    parts = (
        outcome.heading(record),
        outcome.summary(record),
        outcome.trade_offs(record),
        course.shrinkage(record),
        course.curves(record),
        outcome.architectures(record, drawings),
        facts.data(record),
        facts.cost(record),
        facts.recipe(record),
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(record.method)} on {escape(record.dataset)}: nasplug report</title>\n"
        f"<style>{style_sheet()}</style>\n</head>\n<body>\n" + "\n".join(filter(None, parts)) + "\n</body>\n</html>\n"
    )
