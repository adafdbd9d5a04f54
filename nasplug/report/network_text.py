"""What came out of a run, in sentences, and what the page says of each architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nasplug.report.cells import JOIN, operation_kind
from nasplug.report.number_format import format_count, format_percent
from nasplug.report.style import KINDS
from nasplug.store.result import RunResult
from nasplug.values import Drawing

STATUSES = {
    "running": "This run is not finished: it was still running when this page was made.",
    "stopped": "This run was stopped before its end; 'nasplug resume' continues it.",
    "failed": "This run failed before its end; what it had finished is shown.",
}


def describe_status(result: RunResult) -> str:
    """How far the run came; empty for a finished one."""
    if result.status == "done":
        return ""
    return STATUSES.get(result.status, f"The state of this run is '{result.status}'.")


def describe_best(result: RunResult) -> str:
    """The best network and the random ones of its size, in one sentence."""
    best = result.network(result.best)
    if best is None:
        count = len(result.networks)
        return f"No best network yet; {count} networks are listed." if count else "No network is finished yet."
    size = f"{format_count(best.params)} parameters"
    if best.test_error is None:
        return f"The best network so far, {best.id}, has {size}; its test error is not measured yet."
    sentence = f"The best network, {best.id}, has {size} and {format_percent(best.test_error)} test error"
    errors = [network.test_error for network in result.matched(best) if network.test_error is not None]
    if not errors:
        return f"{sentence}; no random network of equal size was tested beside it."
    mean = sum(errors) / len(errors)
    subject = (
        "a random network of equal size has" if len(errors) == 1 else "random networks of equal size have on average"
    )
    better = ", which is better" if mean < best.test_error else ""
    return f"{sentence}; {subject} {format_percent(mean)}{better}."


def operation_kinds(drawings: Sequence[Drawing]) -> Mapping[str, str]:
    """The kinds of operations in some cells, with their colours, in the order of KINDS."""
    kinds = {
        operation_kind(edge.operation)
        for drawing in drawings
        for edge in drawing.edges
        if edge.operation not in ("", JOIN)
    }
    return {kind: colour for kind, colour in KINDS.items() if kind in kinds}
