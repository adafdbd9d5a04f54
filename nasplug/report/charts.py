"""The charts of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from nasplug.report.step_figures import PhaseFigures, average_points, thin_points
from nasplug.report.style import ROLES, SERIES, light
from nasplug.report.svg import inline_svg, use_style
from nasplug.store.network_result import NetworkResult
from nasplug.store.result import RunResult
from nasplug.values import Figure

COST_NAMES = {"params": "parameters", "macs": "multiply-accumulates (MACs) per {}"}
"""The axes of costs whose measure alone says too little; {} is what an input is called."""
MOST = 200
"""Points of a curve, at most."""


@attrs.frozen
class Curve:
    """One phase in a chart of several."""

    label: str
    """Empty: not in the legend."""
    phase: PhaseFigures
    colour: int = 0
    """Its place in SERIES, over and over."""
    dashed: bool = False


def select_errors(result: RunResult) -> tuple[str, list[tuple[NetworkResult, float]]]:
    """Which error the charts show, and the networks that have it: the test error as soon as one network has it."""
    networks = result.networks
    tested = [(network, network.test_error) for network in networks if network.test_error is not None]
    if tested:
        return "test error", tested
    return "validation error", [(network, network.val_error) for network in networks if network.val_error is not None]


@use_style
def draw_trade_off(result: RunResult, cost: str) -> Markup:
    """Error against a cost of every network that has both."""
    measure, rated = select_errors(result)
    networks = [(network, error) for network, error in rated if cost in network.costs]
    places = {network.id: (float(network.costs[cost]), 100 * error) for network, error in networks}
    figure, axes = _new_figure(5.4, 3.7)
    for network, _ in networks:
        if network.role == "random" and network.matched_to in places:
            pair = _columns(places[network.matched_to], places[network.id])
            axes.plot(*pair, color=light("muted"), linewidth=0.7, alpha=0.7)
    front = sorted(places[name] for name in result.front if name in places)
    if front:
        axes.plot(*_columns(*front), color=light("ink"), linewidth=1.1, linestyle="--", label="front")
    for role, (colour, marker) in ROLES.items():
        members = [places[network.id] for network, _ in networks if network.role == role]
        if members:
            axes.scatter(*_columns(*members), s=48, marker=marker, color=light(colour), label=role, zorder=3)
    if result.best in places:
        place = _columns(places[result.best])
        axes.scatter(*place, s=170, marker="o", facecolors="none", edgecolors=light("found"), label="best")
    unit = str(result.units[cost])
    named = COST_NAMES.get(cost, "").format(result.input_word)
    name = named or (f"{cost} ({unit})" if unit else cost)
    set_log_scale(axes, [place[0] for place in places.values()])
    axes.set_xlabel(name)
    axes.set_ylabel(f"{measure} (%)")
    _add_legend(axes, 5)
    return inline_svg(figure, cost, f"{measure} against {name} of {len(places)} networks")


@use_style
def draw_figures(phase: PhaseFigures, figures: Sequence[Figure]) -> Markup:
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
        _add_legend(panels[0], 1)
    panels[-1].set_xlabel("step of the search")
    names = ", ".join(figure.name for figure in figures)
    return inline_svg(canvas, "shrinking", f"{names} over the steps of the search")


def _axis_label(figure: Figure) -> str:
    """Two lines at most, because panels are low."""
    label = figure.label.replace(" ", "\n", 1)
    return f"{label} ({figure.unit})" if figure.unit else label


@use_style
def draw_losses(name: str, title: str, curves: Sequence[Curve]) -> Markup:
    """The loss of some phases; `name` begins the ids of the SVG."""
    figure, axes = _new_figure(5.4, 3.5)
    lowest, highest = float("inf"), 0.0
    for curve in curves:
        steps, values = average_points(curve.phase.points("loss"), MOST)
        if len(values):
            lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
        axes.plot(steps, values, label=curve.label or None, **_line_style(curve))
    if 0 < lowest < highest / 20:
        axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    _add_legend(axes, 3)
    return inline_svg(figure, name, title)


@use_style
def draw_errors(name: str, title: str, curves: Sequence[Curve], measure: str) -> Markup:
    """A "train_error" or "val_error" that some phases report while they train; `name` begins the ids of the SVG."""
    figure, axes = _new_figure(5.4, 3.5)
    for curve in curves:
        steps, values = thin_points(curve.phase.points(measure), MOST)
        axes.plot(steps, 100 * values, label=curve.label or None, **_line_style(curve))
    axes.set_xlabel("step")
    axes.set_ylabel({"train_error": "training error (%)", "val_error": "validation error (%)"}[measure])
    _add_legend(axes, 3)
    return inline_svg(figure, name, title)


def _new_figure(width: float, height: float) -> tuple[MplFigure, Axes]:
    figure = MplFigure(figsize=(width, height))
    return figure, figure.add_subplot()


def _columns(*places: tuple[float, float]) -> tuple[list[float], list[float]]:
    return [place[0] for place in places], [place[1] for place in places]


def _line_style(curve: Curve) -> dict[str, Any]:
    return {
        "color": light(SERIES[curve.colour % len(SERIES)]),
        "linestyle": (0, (4, 2)) if curve.dashed else "-",
        "linewidth": 1.1 if curve.dashed else 1.5,
    }


def _add_legend(axes: Axes, columns: int) -> None:
    """Above the chart, where it covers nothing."""
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2, handlelength=1.6)


def set_log_scale(axes: Axes, values: Sequence[float]) -> None:
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
