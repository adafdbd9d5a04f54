"""The chart of a tournament: how far every candidate came."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.figure import Figure

from nasplug.report.number_format import format_epochs
from nasplug.report.style import ROLES, light
from nasplug.report.svg import inline_svg, use_style
from nasplug.store.result import RunResult
from nasplug.store.tournament import BracketResult
from nasplug.values import Budget


def draw_tournament(result: RunResult) -> list[Markup]:
    """For each budget, the validation error of every candidate after each of its rungs."""
    begun = [bracket for bracket in result.tournament if bracket.rungs]
    budgets: list[Budget] = []
    for bracket in begun:
        if bracket.budget not in budgets:
            budgets.append(bracket.budget)
    return [
        _draw_brackets(f"tournament{number}", [bracket for bracket in begun if bracket.budget == budget])
        for number, budget in enumerate(budgets)
    ]


@use_style
def _draw_brackets(name: str, brackets: Sequence[BracketResult]) -> Markup:
    figure = Figure(figsize=(5.4, 3.7))
    axes = figure.add_subplot()
    longest = max((bracket.rungs for bracket in brackets), key=len)
    labelled: set[str] = set()
    for bracket in brackets:
        colour, marker = ROLES.get(bracket.role, ROLES["random"])
        winners = {standing.id for standing in bracket.rungs[-1].best}
        paths: dict[str, list[float]] = {}
        for rung in bracket.rungs:
            for standing in rung.ranking:
                paths.setdefault(standing.id, []).append(100 * standing.val_error)
        for candidate, path in paths.items():
            axes.plot(
                range(1, len(path) + 1),
                path,
                color=light(colour),
                marker=marker,
                markersize=5,
                linewidth=1.8 if candidate in winners else 0.8,
                alpha=1.0 if candidate in winners else 0.5,
                label=None if bracket.role in labelled else bracket.role,
            )
            labelled.add(bracket.role)
    axes.set_xticks(
        range(1, len(longest) + 1),
        [f"rung {number}\n{format_epochs(rung.epochs)}" for number, rung in enumerate(longest, 1)],
    )
    axes.set_ylabel("validation error (%)")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2, handlelength=1.6)
    count = sum(len(bracket.rungs[0].ranking) for bracket in brackets)
    return inline_svg(figure, name, f"Validation error of {count} candidates after each rung")
