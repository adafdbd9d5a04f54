"""The report of a run as one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from nasplug.report.cells import draw_cells
from nasplug.report.charts import draw_figures, draw_trade_off, select_errors
from nasplug.report.class_errors import tabulate_classes
from nasplug.report.estimates import describe_estimates
from nasplug.report.exports import name_columns, tabulate_exports
from nasplug.report.flatness import describe_flatness, draw_flatness
from nasplug.report.network_text import describe_best, describe_status, operation_kinds
from nasplug.report.paired_comparison import compare_pairs, describe_pairs
from nasplug.report.reference_comparison import compare_with_reference, describe_reference
from nasplug.report.run_record import RunRecord, read_run_record
from nasplug.report.settings import cost_rows, data_facts, recipe_sections, repeat_command
from nasplug.report.step_figures import PhaseFigures
from nasplug.report.templating import render, write_page
from nasplug.report.tournament import describe_tournament, tabulate_bracket
from nasplug.report.tournament_chart import draw_tournament
from nasplug.report.training_curves import draw_training_curves
from nasplug.store.result import RunResult
from nasplug.values import Drawing

Drawings = Mapping[str, Sequence[Drawing]]
"""The cells of each network, by its id."""
NOTHING_TO_COMPARE = "No found network can be compared with a random one yet."


def write_report(run: Path, drawings: Drawings) -> Path:
    """Writes `report.html` into the run folder `run` and returns its path.

    A network without drawings is listed but not drawn. Runs that are not finished get a report of what there is. The
    same folder gives the same file, byte for byte. Raises InputError if recipe or result is missing or damaged,
    RunFailure if the file cannot be written.
    """
    text = render_report(read_run_record(run), drawings)
    path = run / "report.html"
    write_page(path, text)
    return path


def render_report(record: RunRecord, drawings: Drawings) -> str:
    """The report as HTML that refers to nothing outside itself."""
    result = record.result
    with_drawings = [network for network in result.networks if drawings.get(network.id)]
    figures = record.schedule_figures()
    pairs, reference = compare_pairs(result), map(describe_reference, filter(None, [compare_with_reference(result)]))
    rated = select_errors(result)[1]
    return render(
        "report.html.j2",
        result=result,
        headline=describe_best(result),
        status=describe_status(result),
        has_table_errors=any(network.source != "trained" for network in result.networks),
        has_references=any(network.role == "reference" for network in result.networks),
        comparison=[*(describe_pairs(pairs) if pairs else [NOTHING_TO_COMPARE]), *reference],
        flatness_sentence=describe_flatness(record),
        trade_offs=[draw_trade_off(result, cost) for cost in result.measures] if rated else [],
        estimates=describe_estimates(result),
        not_shown=_count_not_shown(result),
        schedule_chart=draw_figures(*figures) if figures else "",
        snapshots=_describe_snapshots(figures[0]) if figures else "",
        flatness_chart=draw_flatness(record),
        tournament=describe_tournament(result),
        tournament_charts=draw_tournament(result),
        brackets=[tabulate_bracket(result, bracket) for bracket in result.tournament if bracket.rungs],
        exports=tabulate_exports(result),
        export_heads=name_columns(result),
        training_charts=draw_training_curves(record),
        drawn={network.id for network in with_drawings},
        architectures=[(network, draw_cells(drawings[network.id])) for network in with_drawings],
        class_tables=tabulate_classes(result),
        operation_kinds=operation_kinds([cell for network in with_drawings for cell in drawings[network.id]]),
        data=data_facts(result),
        costs=cost_rows(result.cost),
        recipe=recipe_sections(record),
        recipe_was_changed=record.recipe_was_changed,
        command=repeat_command(record),
    )


def _describe_snapshots(phase: PhaseFigures) -> str:
    reasons = Counter(reason for _, reason in phase.snapshots)
    if not reasons:
        return "No snapshot was taken."
    counts = ", ".join(f"{number} by {reason}" for reason, number in reasons.items())
    return f"{len(phase.snapshots)} snapshots ({counts}), marked in the chart."


def _count_not_shown(result: RunResult) -> str:
    measure, rated = select_errors(result)
    missing = len(result.networks) - len(rated)
    return f"Not shown: {missing} without {measure}." if missing else ""
