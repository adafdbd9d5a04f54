"""The charts of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from nasplug.report.run_record import RunRecord
from nasplug.report.step_figures import PhaseFigures, average_points, thin_points
from nasplug.report.style import SERIES, light
from nasplug.report.svg import inline, styled
from nasplug.store.result import NetworkResult
from nasplug.values import Figure

MOST = 200
"""Points of a curve, at most."""


def rated(record: RunRecord) -> tuple[str, list[tuple[NetworkResult, float]]]:
    """Which error the charts show, and the networks that have it: the test error as soon as one network has it."""
    tested = [(each, each.test_error) for each in record.result.networks if each.test_error is not None]
    if tested:
        return "test error", tested
    return "validation error", [(each, each.val_error) for each in record.result.networks if each.val_error is not None]


@styled
def trade_off(record: RunRecord, cost: str) -> str:
    """Error against "params" or "macs" of every network that has an error."""
    measure, networks = rated(record)
    places = {each.id: (float(getattr(each, cost)), 100 * error) for each, error in networks}
    figure, axes = _figure(5.4, 3.7)
    for each, _ in networks:
        if each.matched_to in places:
            axes.plot(
                *_columns(places[each.matched_to], places[each.id]), color=light("muted"), linewidth=0.7, alpha=0.7
            )
    front = sorted(places[name] for name in record.result.front if name in places)
    if front:
        axes.plot(*_columns(*front), color=light("ink"), linewidth=1.1, linestyle="--", label="front")
    for role, marker, colour in (("found", "o", "found"), ("random", "X", "random")):
        members = [places[each.id] for each, _ in networks if each.role == role]
        if members:
            axes.scatter(*_columns(*members), s=48, marker=marker, color=light(colour), label=role, zorder=3)
    if record.result.best in places:
        axes.scatter(
            *_columns(places[record.result.best]),
            s=170,
            marker="o",
            facecolors="none",
            edgecolors=light("found"),
            label="best",
        )
    name = {"params": "parameters", "macs": "multiply-accumulates (MACs) per image"}[cost]
    logarithmic(axes, [place[0] for place in places.values()])
    axes.set_xlabel(name)
    axes.set_ylabel(f"{measure} (%)")
    _legend(axes, 4)
    return inline(figure, cost, f"{measure} against {name} of {len(places)} networks")


@styled
def draw_figures(figures: Sequence[Figure], phase: PhaseFigures) -> str:
    """The figures of a schedule over the steps of the search, one panel for each; snapshots are marked."""
    canvas = MplFigure(figsize=(7.2, 0.7 + 1.35 * len(figures)))
    panels = canvas.subplots(len(figures), 1, sharex=True, squeeze=False)[:, 0]
    for number, (panel, figure) in enumerate(zip(panels, figures, strict=True)):
        for step, _ in phase.snapshots:
            panel.axvline(step, color=light("muted"), linewidth=0.6, linestyle=":")
        steps, values = thin_points(phase.points(figure.name), MOST)
        if figure.scale == "log" and (values > 0).any():
            steps, values = steps[values > 0], values[values > 0]
            panel.set_yscale("log")
        panel.plot(steps, values, color=light(SERIES[number % len(SERIES)]), drawstyle="steps-post")
        panel.set_ylabel(_axis_label(figure))
    first = dict(zip(*phase.columns[figures[0].name], strict=True))
    marks = [(float(step), first[step]) for step, _ in phase.snapshots if step in first]
    if marks:
        panels[0].scatter(*_columns(*marks), s=26, color=light("random"), zorder=3, label="snapshot")
        _legend(panels[0], 1)
    panels[-1].set_xlabel("step of the search")
    names = ", ".join(figure.name for figure in figures)
    return inline(canvas, "shrinking", f"{names} over the steps of the search")


def _axis_label(figure: Figure) -> str:
    """Two lines at most, because panels are low."""
    label = figure.label.replace(" ", "\n", 1)
    return f"{label} ({figure.unit})" if figure.unit else label


@styled
def losses(name: str, title: str, curves: Sequence[tuple[str, PhaseFigures, int, bool]]) -> str:
    """The loss of some phases: (label, phase, number of the colour, dashed); an empty label keeps out of the legend."""
    figure, axes = _figure(5.4, 3.5)
    lowest, highest = float("inf"), 0.0
    for label, trace, colour, dashed in curves:
        steps, values = average_points(trace.points("loss"), MOST)
        if len(values):
            lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
        axes.plot(steps, values, label=label or None, **_line(colour, dashed))
    if 0 < lowest < highest / 20:
        axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    _legend(axes, 3)
    return inline(figure, name, title)


@styled
def errors(name: str, title: str, curves: Sequence[tuple[str, PhaseFigures, int, bool]], measure: str) -> str:
    """A "train_error" or "val_error" that some phases report while they train."""
    figure, axes = _figure(5.4, 3.5)
    for label, trace, colour, dashed in curves:
        steps, values = thin_points(trace.points(measure), MOST)
        axes.plot(steps, 100 * values, label=label or None, **_line(colour, dashed))
    axes.set_xlabel("step")
    axes.set_ylabel({"train_error": "training error (%)", "val_error": "validation error (%)"}[measure])
    _legend(axes, 3)
    return inline(figure, name, title)


def _figure(width: float, height: float) -> tuple[MplFigure, Axes]:
    figure = MplFigure(figsize=(width, height))
    return figure, figure.add_subplot()


def _columns(*places: tuple[float, float]) -> tuple[list[float], list[float]]:
    return [place[0] for place in places], [place[1] for place in places]


def _line(colour: int, dashed: bool) -> dict[str, Any]:
    return {
        "color": light(SERIES[colour % len(SERIES)]),
        "linestyle": (0, (4, 2)) if dashed else "-",
        "linewidth": 1.1 if dashed else 1.5,
    }


def _legend(axes: Axes, columns: int) -> None:
    """Above the chart, where it covers nothing."""
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2, handlelength=1.6)


def logarithmic(axes: Axes, values: Sequence[float]) -> None:
    """A log axis with a few round ticks, whatever its span; a linear one if something costs nothing."""
    low, high = min(values), max(values)
    if low <= 0:
        return
    axes.set_xscale("log")
    margin = max((high / low) ** 0.08, 1.05)
    axes.set_xlim(low / margin, high * margin)
    axes.xaxis.set_major_locator(MaxNLocator(5) if high < 8 * low else LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
