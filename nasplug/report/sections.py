"""The sections of the page, each from the record to HTML; a section with nothing to tell is empty."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from nasplug.report.cells import draw_cells, kind_of
from nasplug.report.charts import errors, losses, rated, shrinking, trade_off
from nasplug.report.comparison import compare, verdict
from nasplug.report.record import Network, Record
from nasplug.report.style import KINDS
from nasplug.report.tables import Cell, Html, pairs, table
from nasplug.report.trace import Trace
from nasplug.report.words import count, duration, memory, percent, setting
from nasplug.values import Drawing

STATES = {
    "running": "This run is not finished: it was still running when this page was made.",
    "stopped": "This run was stopped before its end; 'nasplug resume' continues it.",
    "failed": "This run failed before its end; what it had finished is shown.",
}


def heading(record: Record) -> str:
    """Title, the result in one sentence, and how far the run came."""
    lines = [
        f"<h1>{escape(record.method)} on {escape(record.dataset)}</h1>",
        f'<p class="lead">{escape(_result(record))}</p>',
    ]
    if record.status != "done":
        state = STATES.get(record.status, f"The state of this run is '{record.status}'.")
        lines.append(f'<p class="state">{escape(state)}</p>')
    return "".join(lines + [f"<p>{escape(note)}</p>" for note in record.notes])


def _result(record: Record) -> str:
    best = record.network(record.best)
    if best is None:
        trained = len(record.networks)
        return f"No best network yet; {trained} networks are listed." if trained else "No network is finished yet."
    error = (
        "its test error is not measured yet" if best.test_error is None else f"{percent(best.test_error)} test error"
    )
    sentence = f"The best network, {best.id}, has {count(best.params)} parameters and {error}"
    if best.test_error is None:
        return f"The best network so far, {best.id}, has {count(best.params)} parameters; {error}."
    rivals = [each.test_error for each in record.matched(best) if each.test_error is not None]
    if not rivals:
        return f"{sentence}; no random network of equal size was tested beside it."
    mean = sum(rivals) / len(rivals)
    rival = (
        "a random network of equal size has" if len(rivals) == 1 else "random networks of equal size have on average"
    )
    plainly = ", which is better" if mean < best.test_error else ""
    return f"{sentence}; {rival} {percent(mean)}{plainly}."


def summary(record: Record) -> str:
    """Every network in one table, and what the comparison with random networks says."""
    if not record.networks:
        return _section("Networks", "<p>No network has been trained yet.</p>")
    extra = any(each.source != "trained" for each in record.networks)
    heads = ["network", "role", "matched to", "on the front", *(["errors from"] if extra else [])]
    rows = [_row(record, each, extra) for each in record.networks]
    marked = [each.id == record.best for each in record.networks]
    numbers = ["parameters", "MACs", "validation error", "test error"]
    comparison = compare(record)
    said = verdict(comparison) if comparison else ["No found network can be compared with a random one yet."]
    text = "".join(f"<p>{escape(each)}</p>" for each in said)
    return _section(
        "Networks",
        table([*heads, *numbers], rows, numbers=4, marked=marked)
        + text
        + '<p class="small">Errors are fractions of wrongly classified images, shown as per cent. Parameters count the '
        "network as shipped, without an auxiliary head. MACs are the multiply-accumulates of convolutions and linear "
        "layers for one image (papers often call them FLOPs). The best network is the found one with the lowest "
        "validation error, the front the non-dominated set by validation error and size. Neither is chosen by test "
        "error.</p>",
    )


def _row(record: Record, network: Network, extra: bool) -> list[Cell]:
    return [
        Html(f"{_name(network.id)}{' ★ best' if network.id == record.best else ''}"),
        Html(_item("found" if network.found else "random", network.role)),
        Html(_name(network.matched_to)) if network.matched_to else "",
        "yes" if network.id in record.front else "",
        *([network.source] if extra else []),
        count(network.params),
        count(network.macs),
        percent(network.val_error),
        percent(network.test_error),
    ]


def trade_offs(record: Record) -> str:
    """Error against size, twice."""
    measure, networks = rated(record)
    if not networks:
        return ""
    left = len(record.networks) - len(networks)
    missing = f" Not shown: {left} without {measure}." if left else ""
    charts = [_chart(trade_off(record, cost)) for cost in ("params", "macs")]
    return _section(
        "Error against size",
        f'<div class="charts">{"".join(charts)}</div><p class="small">Thin lines join a found network and the random '
        f"ones of its size; the dashed line joins the front, which is chosen by validation error.{missing}</p>",
    )


def shrinkage(record: Record) -> str:
    """How the supernet shrank, if it did."""
    trace = next((each for each in record.traces.values() if each.shrinks), None)
    if trace is None:
        return ""
    reasons = Counter(reason for _, reason in trace.snapshots)
    told = ", ".join(f"{number} by {reason}" for reason, number in reasons.items())
    said = f"{len(trace.snapshots)} snapshots ({told}), marked in the chart." if told else "No snapshot was taken."
    return _section("Shrinking of the supernet", _chart(shrinking(trace)) + f'<p class="small">{escape(said)}</p>')


Curves = list[tuple[str, Trace, int, bool]]


def curves(record: Record) -> str:
    """The loss of every phase, and errors where a phase reports them while it trains."""
    if not record.traces:
        return ""
    retrained = _retrained(record)
    others = {name: trace for name, trace in record.traces.items() if "/" not in name}
    groups: list[tuple[str, Curves]] = [(name, [("", trace, 0, False)]) for name, trace in others.items()]
    groups += [("retraining", retrained)] if retrained else []
    charts = []
    for number, (title, group) in enumerate(groups):
        done = max(trace.steps for _, trace, _, _ in group)
        epochs = max(trace.epochs for _, trace, _, _ in group)
        caption = f"{title}: {count(done)} steps, {count(epochs)} {'epoch' if epochs == 1 else 'epochs'}"
        caption += "; solid: found, dashed: the random network matched to it" if group is retrained else ""
        charts.append(_chart(losses(f"loss{number}", f"Loss of {title}", group), caption))
        for measure in ("train_error", "val_error"):
            having = [each for each in group if measure in each[1].columns]
            if having:
                name = f"{measure}{number}"
                charts.append(_chart(errors(name, f"Errors of {title}", having, measure), f"{title}, while it trained"))
    return _section(
        "Training curves",
        f'<div class="charts">{"".join(charts)}</div>'
        '<p class="small">Long losses are shown as means over equal shares of the steps.</p>',
    )


def _retrained(record: Record) -> Curves:
    """Networks in training: a random one has the colour of the found one that it is matched to."""
    found = {each.id: number for number, each in enumerate(each for each in record.networks if each.found)}
    group: Curves = []
    for phase, trace in record.traces.items():
        kind, _, name = phase.partition("/")
        if not name:
            continue
        network = record.network(name)
        partner = network.matched_to if network and network.matched_to else name
        dashed = kind == "baseline"
        group.append(
            ("" if dashed and partner in found else name, trace, found.setdefault(partner, len(found)), dashed)
        )
    return group


def architectures(record: Record, drawings: Mapping[str, Sequence[Drawing]]) -> str:
    """Every architecture, cell by cell; those of random networks are folded."""
    drawn = [each for each in record.networks if drawings.get(each.id)]
    if not drawn:
        return ""
    kinds = {
        kind_of(edge.operation) for each in drawn for cell in drawings[each.id] for edge in cell.edges if edge.operation
    }
    legend = "".join(_item(KINDS[kind], kind) for kind in KINDS if kind in kinds)
    parts = [
        f'<details id="net-{escape(each.id)}"{" open" if each.found else ""}><summary><code>{escape(each.id)}</code> '
        f"{escape(each.role)}{' ★ best' if each.id == record.best else ''}, {count(each.params)} parameters, "
        f"{percent(each.test_error)}{'' if each.test_error is None else ' test error'}</summary>"
        f"{draw_cells(drawings[each.id])}</details>"
        for each in drawn
    ]
    return _section(
        "Architectures",
        '<p class="small">From the inputs of a cell on the left to its output. Operations stand before the node that '
        f"adds them up; grey lines carry one node's output to several of them.</p><p>{legend}</p>{''.join(parts)}",
    )


def data(record: Record) -> str:
    """Which images, and how they were divided."""
    facts: dict[str, Any] = {"data set": record.dataset}
    for name, value in record.data.items():
        if name == "classes" and isinstance(value, list):
            facts[f"{len(value)} classes"] = value
        else:
            facts[{"size": "size (pixels)", "channels": "colour channels"}.get(name, name)] = value
    facts |= {f"images in {name}": count(number) for name, number in record.splits.items()}
    return _section("Data", pairs(facts))


def cost(record: Record) -> str:
    """Time, memory and device of every phase."""
    if not record.cost:
        return ""
    rows: list[list[Cell]] = [
        [phase, each.device or "not recorded", memory(each.peak_memory), duration(each.seconds)]
        for phase, each in record.cost.items()
    ]
    total = sum(each.seconds or 0.0 for each in record.cost.values())
    peaks = [each.peak_memory for each in record.cost.values() if each.peak_memory is not None]
    rows.append(["total", "", memory(max(peaks, default=None)), duration(total)])
    note = "Phases may have run at the same time; the total adds up their times and takes the highest peak."
    costs = table(["phase", "device", "peak memory", "time"], rows, numbers=2)
    return _section("Cost", f'{costs}<p class="small">{note}</p>')


def recipe(record: Record) -> str:
    """Environment, the whole recipe, and the command that repeats the run."""
    sections = {
        name: {key: value for key, value in rows.items() if key != "command"}
        for name, rows in record.recipe.items()
        if isinstance(rows, Mapping)
    }
    loose = {name: value for name, value in record.recipe.items() if not isinstance(value, Mapping)}
    environment = {title: sections.pop(title, {}) for title in ("environment", "plugins")}
    return (
        _tables("Environment", environment)
        + _tables("Recipe", ({"other": loose} if loose else {}) | sections)
        + (_section("Repeat this run", f"<pre>{escape(shlex.join(record.command))}</pre>") if record.command else "")
    )


def _tables(title: str, sections: Mapping[str, Mapping[str, Any]]) -> str:
    parts = [f"<div><h3>{escape(name)}</h3>{pairs(_flat(rows))}</div>" for name, rows in sections.items() if rows]
    return _section(title, f'<div class="tables">{"".join(parts)}</div>') if parts else ""


def _flat(rows: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested tables as dotted names."""
    flat: dict[str, str] = {}
    for name, value in rows.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": setting(value)}
    return flat


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _chart(svg: str, caption: str = "") -> str:
    told = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="chart">{told}{svg}</figure>'


def _name(network: str) -> str:
    return f'<a href="#net-{escape(network)}"><code>{escape(network)}</code></a>'


def _item(colour: str, text: str) -> str:
    """A text with a dot of its colour."""
    return f'<span class="item"><span class="dot" style="background: var(--{colour})"></span>{escape(text)}</span>'
