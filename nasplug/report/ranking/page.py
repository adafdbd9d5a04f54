"""The trained sample of a search's order as tables of text and as one page."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup
from matplotlib.figure import Figure

from nasplug.report.methods.tables import NONE, TextTable
from nasplug.report.number_format import format_count, format_percent
from nasplug.report.rank_statistics import Estimate
from nasplug.report.ranking.ranking import LABELS, Agreement, Ranking, Regret
from nasplug.report.style import light
from nasplug.report.svg import inline_svg, use_style
from nasplug.report.templating import render, write_page

LEGEND = (
    "Kendall's tau and Spearman's rank correlation are from -1 to 1; 0: the order says nothing, 1: the errors have the "
    "order of the scores.",
    "regret: the least error among the best by score, minus the least error of the sample, in percentage points; "
    "beside it what as many random ones of the sample would lose on average.",
    "Behind each figure stands its 95 % interval: the percentile bootstrap over the networks of the sample. It leaves "
    "out that another search, or another training of the same networks, would give other figures.",
)


def agreement_table(ranking: Ranking) -> TextTable:
    """A row for each score."""
    agreements = {name: ranking.agreement(name) for name in ranking.scores}
    tops = [each.count for each in next(iter(agreements.values())).regrets]
    columns = ["order", "Kendall tau", "Spearman"]
    columns += [name for count in tops for name in (f"regret of the best {count}", "of random")]
    rows = [[LABELS.get(name, name), *_figures(agreement)] for name, agreement in agreements.items()]
    return TextTable(columns, rows, len(columns) - 1)


def _figures(agreement: Agreement) -> list[str]:
    correlations = [agreement.kendall, agreement.spearman]
    regrets = [cell for each in agreement.regrets for cell in _regret(each)]
    return [*(NONE if each is None else _with_interval(each, "+.2f") for each in correlations), *regrets]


def _regret(regret: Regret) -> tuple[str, str]:
    return _with_interval(regret.estimate, ".2f", 100), f"{100 * regret.of_random:.2f}"


def _with_interval(estimate: Estimate, form: str, scale: float = 1.0) -> str:
    value, low, high = (format(scale * each, form) for each in (estimate.value, *estimate.interval))
    return f"{value} ({low} to {high})"


def network_table(ranking: Ranking) -> TextTable:
    """A row for each network, the lowest error first."""
    order = sorted(range(len(ranking.errors)), key=ranking.errors.__getitem__)
    rows = [
        [
            ranking.networks[place].id,
            format_count(ranking.networks[place].params),
            format_percent(ranking.errors[place]),
            *(f"{scores[place]:.4g}" for scores in ranking.scores.values()),
        ]
        for place in order
    ]
    columns = ["network", "params", "error", *(LABELS.get(name, name) for name in ranking.scores)]
    return TextTable(columns, rows, len(columns) - 1)


def write_ranking_page(ranking: Ranking, path: Path) -> None:
    """Writes the page, which needs no other file; RunFailure if it cannot be written."""
    agreement, networks = agreement_table(ranking), network_table(ranking)
    charts = [draw_order(ranking, name) for name in ranking.scores]
    write_page(
        path,
        render(
            "ranking.html.j2",
            method=ranking.result.method,
            dataset=ranking.result.dataset,
            sentence=ranking.describe(),
            agreement=agreement,
            networks=networks,
            charts=charts,
            legend=LEGEND,
        ),
    )


@use_style
def draw_order(ranking: Ranking, name: str) -> Markup:
    """The error of every network against its score."""
    label = LABELS.get(name, name)
    figure = Figure(figsize=(5.4, 3.7))
    axes = figure.add_subplot()
    axes.scatter(ranking.scores[name], [100 * error for error in ranking.errors], s=34, color=light("found"))
    axes.set_xlabel(f"{label} (lower: better)")
    axes.set_ylabel("error (%)")
    return inline_svg(figure, f"order-{name}", f"error of {len(ranking.errors)} networks against {label}")
