"""The page as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nasplug.report import course, facts, flatness, outcome
from nasplug.report.markup import document, write
from nasplug.report.run_record import RunRecord, read_run_record
from nasplug.values import Drawing


def write_report(run: Path, drawings: Mapping[str, Sequence[Drawing]]) -> Path:
    """Writes `report.html` into the run folder `run` and returns its path.

    `drawings` has the cells of each network by its id; a network without is listed but not drawn. Runs that are not
    finished get a report of what there is. The same folder gives the same file, byte for byte. Raises InputError if
    recipe or result is missing or damaged, RunFailure if the file cannot be written.
    """
    text = page(read_run_record(run), drawings)
    path = run / "report.html"
    write(path, text)
    return path


def page(record: RunRecord, drawings: Mapping[str, Sequence[Drawing]]) -> str:
    """The report as HTML that refers to nothing outside itself."""
    parts = (
        outcome.heading(record),
        outcome.summary(record),
        outcome.trade_offs(record),
        course.shrinkage(record),
        flatness.flatness(record),
        course.curves(record),
        outcome.architectures(record, drawings),
        facts.data(record),
        facts.cost(record),
        facts.recipe(record),
    )
    return document(f"{record.result.method} on {record.result.dataset}: nasplug report", parts)
