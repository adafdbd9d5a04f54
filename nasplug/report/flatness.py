"""How flat the loss of the supernet was, and what it lost by becoming discrete."""

from __future__ import annotations

from html import escape

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nasplug.report.markup import chart, section
from nasplug.report.number_format import percent, points
from nasplug.report.run_record import RunRecord
from nasplug.report.step_figures import PhaseFigures
from nasplug.report.style import light
from nasplug.report.svg import inline, styled

CURVES = {
    "sharpness": ("sharpness\nof the loss", "found"),
    "alpha_eigenvalue": ("eigenvalue of\nalpha's Hessian", "purple"),
}
"""Panels of one curve: what its axis says, and its colour."""
ERRORS = {"discrete_error": ("discrete", "random"), "supernet_error": ("supernet", "found")}
"""The panel of the gap: two errors, and what lies between them."""


def flatness(record: RunRecord) -> str:
    """The course of the measurements, if there is more than one."""
    trace = _measured(record)
    if trace is None or len(trace.points("sharpness")[0]) < 2:
        return ""
    return section(
        "Flatness of the supernet",
        chart(drawn(trace))
        + '<p class="small">Sharpness is what the loss of the labels gains by one step of length 0.05 uphill in the '
        "weights. The eigenvalue is that of the largest magnitude of the Hessian of this loss with respect to alpha. "
        "The discrete network is the supernet with nothing but its derived architecture left, not retrained; what "
        "lies between the two errors is the discretisation gap.</p>",
    )


def last_values(record: RunRecord) -> str:
    """The last measurements in a sentence, if there are any."""
    trace = _measured(record)
    if trace is None:
        return ""
    last = {name: values[-1] for name, (_, values) in trace.columns.items()}
    told = f"Where the supernet was last measured, its sharpness was {last['sharpness']:.3g}"
    if "alpha_eigenvalue" in last:
        told += f" and the dominant eigenvalue of the Hessian with respect to alpha {last['alpha_eigenvalue']:.3g}"
    if "gap_error" in last:
        images = "validation" if record.result.splits.get("validation") else "training"
        told += (
            f"; it put {percent(last['supernet_error'])} of {images} images into a wrong class, and "
            f"{percent(last['discrete_error'])} once only the derived architecture was left of it: a discretisation "
            f"gap of {points(last['gap_error'])}"
        )
    return f"<p>{escape(told)}.</p>"


@styled
def drawn(trace: PhaseFigures) -> str:
    """Sharpness, eigenvalue and errors over the steps of the search, as far as they were measured."""
    names = [name for name in CURVES if name in trace.columns]
    gap = "gap_error" in trace.columns
    figure = Figure(figsize=(7.2, 0.7 + 1.35 * (len(names) + gap)))
    panels = figure.subplots(len(names) + gap, 1, sharex=True, squeeze=False)[:, 0]
    for panel, name in zip(panels, names, strict=False):
        label, colour = CURVES[name]
        panel.plot(*trace.points(name), color=light(colour), marker="o", markersize=3)
        panel.set_ylabel(label)
    if gap:
        _errors(panels[-1], trace)
    panels[-1].set_xlabel("step of the search")
    told = [*names, *(["errors of the supernet and of its derived architecture"] if gap else [])]
    return inline(figure, "flatness", f"{', '.join(told)} over the steps of the search")


def _errors(panel: Axes, trace: PhaseFigures) -> None:
    curves = {name: trace.points(name) for name in ERRORS}
    for name, (steps, values) in curves.items():
        label, colour = ERRORS[name]
        panel.plot(steps, 100 * values, color=light(colour), marker="o", markersize=3, label=label)
    (steps, above), (_, below) = curves.values()
    panel.fill_between(steps, 100 * below, 100 * above, color=light("muted"), alpha=0.2, linewidth=0, label="gap")
    panel.set_ylabel("error (%)")
    panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2, handlelength=1.6)


def _measured(record: RunRecord) -> PhaseFigures | None:
    return next((trace for trace in record.phases.values() if "sharpness" in trace.columns), None)
