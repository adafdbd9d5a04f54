"""The charts of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nasplug.report.charts import set_log_scale
from nasplug.report.methods.groups import Group
from nasplug.report.spread import Spread
from nasplug.report.style import ROLES, light
from nasplug.report.svg import inline_svg, use_style
from nasplug.store.network_result import NetworkResult

COLUMNS = 2
"""Panels side by side."""


@use_style
def draw_gains(name: str, groups: Sequence[Group], gains: Sequence[Spread | None], rivals: str) -> Markup:
    """For each group its gain over `rivals`, such as "random": every run, their mean, and its confidence interval."""
    figure = Figure(figsize=(7.2, 1.0 + 0.5 * len(groups)))
    axes = figure.add_subplot()
    axes.axvline(0, color=light("muted"), linewidth=1)
    measured = [(place, gain) for place, gain in enumerate(gains) if gain is not None]
    for place, gain in measured:
        axes.scatter([100 * gain.mean], [place], s=70, marker="D", color=light("found"))
        runs = [100 * value for value in gain.values]
        axes.scatter(runs, [place] * len(runs), s=30, facecolors="none", edgecolors=light("ink"), zorder=3)
    # The interval of two runs is so wide that nothing else could be seen, so the limits follow the runs.
    low, high = axes.get_xlim()
    axes.set_xlim(low - (high - low) / 3, high + (high - low) / 3)
    for place, gain in measured:
        if gain.interval is not None:
            axes.plot([100 * end for end in gain.interval], [place, place], color=light("found"), linewidth=2)
    axes.set_yticks(range(len(groups)), [group.title for group in groups])
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"test error of {rivals} networks minus found ones (points)")
    return inline_svg(figure, name, f"gain over {rivals} networks of {len(groups)} methods")


@use_style
def draw_errors(name: str, groups: Sequence[Group]) -> Markup:
    """Test error against parameters of every network, a panel for each group, all on the same scales."""
    columns = min(COLUMNS, len(groups))
    lines = -(-len(groups) // columns)
    figure = Figure(figsize=(7.2, 0.6 + 2.7 * lines))
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    panels: list[Axes] = list(grid.flat)
    for panel, group in zip(panels, groups, strict=False):
        _draw_panel(panel, group)
    for panel in panels[len(groups) :]:
        panel.set_visible(False)
    sizes = [float(network.params) for group in groups for run in group.runs for network in run.networks]
    set_log_scale(panels[0], sizes)
    for panel in panels[max(0, len(groups) - columns) : len(groups)]:
        panel.set_xlabel("parameters")
        panel.tick_params(labelbottom=True)
    for line in grid:
        line[0].set_ylabel("test error (%)")
    entries = {label: mark for panel in panels for mark, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(list(entries.values()), list(entries), loc="outside upper left", ncols=4)
    return inline_svg(figure, name, f"test error against parameters of the networks of {len(groups)} methods")


def _draw_panel(axes: Axes, group: Group) -> None:
    axes.set_title(group.title.replace(", ", "\n"), fontsize=10, loc="left")
    for pair in group.comparison.pairs if group.comparison else ():
        sizes, errors = zip(_place(pair.found), _place(pair.random), strict=True)
        axes.plot(sizes, errors, color=light("muted"), linewidth=0.7, alpha=0.7)
    networks = [network for run in group.runs for network in run.networks if network.test_error is not None]
    for role, (colour, marker) in ROLES.items():
        places = [_place(network) for network in networks if network.role == role]
        if places:
            xs, ys = zip(*places, strict=True)
            axes.scatter(xs, ys, s=34, marker=marker, color=light(colour), label=role, zorder=3)
    best = [_place(run.best) for run in group.runs if run.best and run.best.test_error is not None]
    if best:
        xs, ys = zip(*best, strict=True)
        axes.scatter(xs, ys, s=120, facecolors="none", edgecolors=light("found"), label="best of a run", zorder=2)


def _place(network: NetworkResult) -> tuple[float, float]:
    return float(network.params), 100 * (network.test_error or 0.0)
