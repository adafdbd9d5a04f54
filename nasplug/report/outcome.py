"""What came out: the sentence on top, the table of networks, their errors against their size, their cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from nasplug.report.cells import JOIN, draw_cells, kind_of
from nasplug.report.charts import rated, trade_off
from nasplug.report.comparison import compare, verdict
from nasplug.report.flatness import last_values
from nasplug.report.markup import Cell, Html, chart, item, link, section, table
from nasplug.report.number_format import count, percent
from nasplug.report.run_record import RunRecord
from nasplug.report.style import KINDS
from nasplug.store.result import NetworkResult
from nasplug.values import Drawing

STATES = {
    "running": "This run is not finished: it was still running when this page was made.",
    "stopped": "This run was stopped before its end; 'nasplug resume' continues it.",
    "failed": "This run failed before its end; what it had finished is shown.",
}


def heading(record: RunRecord) -> str:
    """Title, the result in one sentence, and how far the run came."""
    lines = [
        f"<h1>{escape(record.result.method)} on {escape(record.result.dataset)}</h1>",
        f'<p class="lead">{escape(_result(record))}</p>',
    ]
    if record.result.status != "done":
        state = STATES.get(record.result.status, f"The state of this run is '{record.result.status}'.")
        lines.append(f'<p class="state">{escape(state)}</p>')
    return "".join(lines + [f"<p>{escape(note)}</p>" for note in record.result.notes])


def _result(record: RunRecord) -> str:
    best = record.result.network(record.result.best)
    if best is None:
        trained = len(record.result.networks)
        return f"No best network yet; {trained} networks are listed." if trained else "No network is finished yet."
    error = (
        "its test error is not measured yet" if best.test_error is None else f"{percent(best.test_error)} test error"
    )
    sentence = f"The best network, {best.id}, has {count(best.params)} parameters and {error}"
    if best.test_error is None:
        return f"The best network so far, {best.id}, has {count(best.params)} parameters; {error}."
    rivals = [each.test_error for each in record.result.matched(best) if each.test_error is not None]
    if not rivals:
        return f"{sentence}; no random network of equal size was tested beside it."
    mean = sum(rivals) / len(rivals)
    rival = (
        "a random network of equal size has" if len(rivals) == 1 else "random networks of equal size have on average"
    )
    plainly = ", which is better" if mean < best.test_error else ""
    return f"{sentence}; {rival} {percent(mean)}{plainly}."


def summary(record: RunRecord) -> str:
    """Every network in one table, and what the comparison with random networks says."""
    if not record.result.networks:
        return section("Networks", "<p>No network has been trained yet.</p>")
    extra = any(each.source != "trained" for each in record.result.networks)
    heads = ["network", "role", "matched to", "on the front", *(["errors from"] if extra else [])]
    rows = [_row(record, each, extra) for each in record.result.networks]
    marked = [each.id == record.result.best for each in record.result.networks]
    numbers = ["parameters", "MACs", "validation error", "test error"]
    comparison = compare(record)
    said = verdict(comparison) if comparison else ["No found network can be compared with a random one yet."]
    text = "".join(f"<p>{escape(each)}</p>" for each in said)
    return section(
        "Networks",
        table([*heads, *numbers], rows, numbers=4, marked=marked)
        + text
        + last_values(record)
        + '<p class="small">Errors are fractions of wrongly classified images, shown as per cent. Parameters count the '
        "network as shipped, without an auxiliary head. MACs are the multiply-accumulates of convolutions and linear "
        "layers for one image (papers often call them FLOPs). The best network is the found one with the lowest "
        "validation error; the front are the found networks that no other found one beats in both validation error "
        "and size. Neither is chosen by test error.</p>",
    )


def _row(record: RunRecord, network: NetworkResult, extra: bool) -> list[Cell]:
    return [
        Html(f"{link(network.id)}{' ★ best' if network.id == record.result.best else ''}"),
        Html(item("found" if network.found else "random", network.role)),
        Html(link(network.matched_to)) if network.matched_to else "",
        "yes" if network.id in record.result.front else "",
        *([network.source] if extra else []),
        count(network.params),
        count(network.macs),
        percent(network.val_error),
        percent(network.test_error),
    ]


def trade_offs(record: RunRecord) -> str:
    """Error against size, twice."""
    measure, networks = rated(record)
    if not networks:
        return ""
    left = len(record.result.networks) - len(networks)
    missing = f" Not shown: {left} without {measure}." if left else ""
    charts = [chart(trade_off(record, cost)) for cost in ("params", "macs")]
    return section(
        "Error against size",
        f'<div class="charts">{"".join(charts)}</div><p class="small">Thin lines join a found network and the random '
        f"ones of its size; the dashed line joins the front, which is chosen by validation error.{missing}</p>",
    )


def architectures(record: RunRecord, drawings: Mapping[str, Sequence[Drawing]]) -> str:
    """Every architecture, cell by cell; those of random networks are folded."""
    drawn = [each for each in record.result.networks if drawings.get(each.id)]
    if not drawn:
        return ""
    kinds = {
        kind_of(edge.operation)
        for each in drawn
        for cell in drawings[each.id]
        for edge in cell.edges
        if edge.operation not in ("", JOIN)
    }
    legend = "".join(item(KINDS[kind], kind) for kind in KINDS if kind in kinds)
    parts = [
        f'<details id="net-{escape(each.id)}"{" open" if each.found else ""}><summary><code>{escape(each.id)}</code> '
        f"{escape(each.role)}{' ★ best' if each.id == record.result.best else ''}, {count(each.params)} parameters, "
        f"{percent(each.test_error)}{'' if each.test_error is None else ' test error'}</summary>"
        f"{draw_cells(drawings[each.id])}</details>"
        for each in drawn
    ]
    return section(
        "Architectures",
        '<p class="small">From the inputs of a cell on the left to its output. Operations stand before the node that '
        f"adds them up; grey lines carry one node's output to several of them.</p><p>{legend}</p>{''.join(parts)}",
    )
