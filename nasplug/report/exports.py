"""What was exported from a run: files beside the networks that they were made from."""

from __future__ import annotations

from nasplug.report.number_format import format_count, format_percent
from nasplug.store.exports import ExportResult
from nasplug.store.result import RunResult


def name_columns(result: RunResult) -> tuple[str, ...]:
    """The heads of the table."""
    time = f"us for one {result.input_word}"
    return ("network", "format", "bits", "bytes", "operations", time, "error", "error of the network", "agree")


def tabulate_exports(result: RunResult) -> list[tuple[str, ...]]:
    """A row of the table for each exported file."""
    return [
        (
            each.network,
            each.format,
            _describe_bits(each),
            format_count(each.bytes),
            "" if each.nodes is None else format_count(each.nodes),
            f"{1000 * each.milliseconds:.0f}",
            format_percent(each.error),
            format_percent(each.float_error),
            format_percent(each.agreeing / each.images if each.images else None),
        )
        for each in result.exports
    ]


def _describe_bits(export: ExportResult) -> str:
    if not export.int8:
        return "32"
    return f"8, trained for {export.qat} epochs" if export.qat else "8"
