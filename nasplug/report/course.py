"""How it went: the shrinking of the supernet, and the training of every phase."""

from __future__ import annotations

from collections import Counter
from html import escape

from nasplug.report.charts import draw_figures, errors, losses
from nasplug.report.markup import chart, section
from nasplug.report.number_format import count
from nasplug.report.run_record import RunRecord
from nasplug.report.step_figures import PhaseFigures

Curves = list[tuple[str, PhaseFigures, int, bool]]


def shrinkage(record: RunRecord) -> str:
    """How the supernet shrank, if it did."""
    drawn = record.schedule_figures()
    if drawn is None:
        return ""
    trace, figures = drawn
    reasons = Counter(reason for _, reason in trace.snapshots)
    told = ", ".join(f"{number} by {reason}" for reason, number in reasons.items())
    said = f"{len(trace.snapshots)} snapshots ({told}), marked in the chart." if told else "No snapshot was taken."
    return section(
        "Shrinking of the supernet", chart(draw_figures(figures, trace)) + f'<p class="small">{escape(said)}</p>'
    )


def curves(record: RunRecord) -> str:
    """The loss of every phase, and errors where a phase reports them while it trains."""
    if not record.phases:
        return ""
    retrained = _retrained(record)
    others = {name: trace for name, trace in record.phases.items() if "/" not in name}
    groups: list[tuple[str, Curves]] = [(name, [("", trace, 0, False)]) for name, trace in others.items()]
    groups += [("retraining", retrained)] if retrained else []
    charts = []
    for number, (title, group) in enumerate(groups):
        done = max(trace.steps for _, trace, _, _ in group)
        epochs = max(trace.epochs for _, trace, _, _ in group)
        caption = f"{title}: {count(done)} steps, {count(epochs)} {'epoch' if epochs == 1 else 'epochs'}"
        caption += "; solid: found, dashed: the random network matched to it" if group is retrained else ""
        charts.append(chart(losses(f"loss{number}", f"Loss of {title}", group), caption))
        for measure in ("train_error", "val_error"):
            having = [each for each in group if measure in each[1].columns]
            if having:
                name = f"{measure}{number}"
                charts.append(chart(errors(name, f"Errors of {title}", having, measure), f"{title}, while it trained"))
    return section(
        "Training curves",
        f'<div class="charts">{"".join(charts)}</div>'
        '<p class="small">Long losses are shown as means over equal shares of the steps.</p>',
    )


def _retrained(record: RunRecord) -> Curves:
    """Networks in training: a random one has the colour of the found one that it is matched to."""
    found = {each.id: number for number, each in enumerate(each for each in record.result.networks if each.found)}
    group: Curves = []
    for phase, trace in record.phases.items():
        kind, _, name = phase.partition("/")
        if not name:
            continue
        network = record.result.network(name)
        partner = network.matched_to if network and network.matched_to else name
        dashed = kind == "baseline"
        group.append(
            ("" if dashed and partner in found else name, trace, found.setdefault(partner, len(found)), dashed)
        )
    return group
