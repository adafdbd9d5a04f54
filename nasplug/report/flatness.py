"""How flat the loss of the supernet was, and what it lost by becoming discrete."""

from __future__ import annotations

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nasplug.report.number_format import format_percent, format_points
from nasplug.report.run_record import RunRecord
from nasplug.report.step_figures import PhaseFigures
from nasplug.report.style import light
from nasplug.report.svg import inline_svg, use_style

CURVES = {
    "sharpness": ("sharpness\nof the loss", "found"),
    "alpha_eigenvalue": ("eigenvalue of\nalpha's Hessian", "purple"),
}
"""Panels of one curve: what its axis says, and its colour."""
ERRORS = {"discrete_error": ("discrete", "random"), "supernet_error": ("supernet", "found")}
"""The panel of the gap: two errors, and what lies between them."""


def describe_flatness(record: RunRecord) -> str:
    """The last measurements in a sentence; empty if there are none."""
    phase = _measured_phase(record)
    if phase is None:
        return ""
    last = {name: values[-1] for name, (_, values) in phase.columns.items()}
    sentence = f"Where the supernet was last measured, its sharpness was {last['sharpness']:.3g}"
    if "alpha_eigenvalue" in last:
        sentence += f" and the dominant eigenvalue of the Hessian with respect to alpha {last['alpha_eigenvalue']:.3g}"
    if "gap_error" in last:
        images = "validation" if record.result.splits.get("validation") else "training"
        sentence += (
            f"; it put {format_percent(last['supernet_error'])} of {images} images into a wrong class, and "
            f"{format_percent(last['discrete_error'])} once only the derived architecture was left of it: a "
            f"discretisation gap of {format_points(last['gap_error'])}"
        )
    return f"{sentence}."


def draw_flatness(record: RunRecord) -> Markup | None:
    """Sharpness, eigenvalue and errors over the steps of the search; None unless measured more than once."""
    phase = _measured_phase(record)
    return _draw(phase) if phase is not None and len(phase.points("sharpness")[0]) > 1 else None


@use_style
def _draw(phase: PhaseFigures) -> Markup:
    names = [name for name in CURVES if name in phase.columns]
    gap = "gap_error" in phase.columns
    figure = Figure(figsize=(7.2, 0.7 + 1.35 * (len(names) + gap)))
    panels = figure.subplots(len(names) + gap, 1, sharex=True, squeeze=False)[:, 0]
    for panel, name in zip(panels, names, strict=False):
        label, colour = CURVES[name]
        panel.plot(*phase.points(name), color=light(colour), marker="o", markersize=3)
        panel.set_ylabel(label)
    if gap:
        _draw_gap(panels[-1], phase)
    panels[-1].set_xlabel("step of the search")
    titles = [*names, *(["errors of the supernet and of its derived architecture"] if gap else [])]
    return inline_svg(figure, "flatness", f"{', '.join(titles)} over the steps of the search")


def _draw_gap(panel: Axes, phase: PhaseFigures) -> None:
    curves = {name: phase.points(name) for name in ERRORS}
    for name, (steps, values) in curves.items():
        label, colour = ERRORS[name]
        panel.plot(steps, 100 * values, color=light(colour), marker="o", markersize=3, label=label)
    (steps, above), (_, below) = curves.values()
    panel.fill_between(steps, 100 * below, 100 * above, color=light("muted"), alpha=0.2, linewidth=0, label="gap")
    panel.set_ylabel("error (%)")
    panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2, handlelength=1.6)


def _measured_phase(record: RunRecord) -> PhaseFigures | None:
    return next((phase for phase in record.phases.values() if "sharpness" in phase.columns), None)
