"""The tournament of a run: who was trained for how long, and who went on."""

from __future__ import annotations

from collections import Counter

import attrs

from nasplug.report.number_format import format_count, format_epochs, format_percent
from nasplug.store.result import RunResult
from nasplug.store.tournament import BracketResult, Standing
from nasplug.values import describe_costs

ORIGINS = {
    "search": "left by the search",
    "rating": "rated best by it",
    "mutation": "mutated from those",
    "random": "random",
}
"""By the origin of a candidate, what is said of several."""


@attrs.frozen
class BracketTable:
    """The candidates of a bracket, the winners first."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """For each candidate its id, its origin, the network that it became (or nothing), its params, and its error after
    each rung."""


def describe_tournament(result: RunResult) -> list[str]:
    """What was trained to choose the networks, and where the winners come from, as sentences for each bracket."""
    return [
        _describe_bracket(result, bracket) if bracket.rungs else f"{_name(result, bracket)}: no rung is finished."
        for bracket in result.tournament
    ]


def _describe_bracket(result: RunResult, bracket: BracketResult) -> str:
    steps = [f"{len(rung.ranking)} for {format_epochs(rung.epochs)}" for rung in bracket.rungs]
    origins = Counter(standing.origin for standing in bracket.rungs[-1].best)
    left = ", ".join(f"{number} {ORIGINS.get(origin, origin)}" for origin, number in origins.items())
    shared = f", {bracket.sharing} of them from weights of the supernet" if bracket.sharing else ""
    return f"{_name(result, bracket)}: {', then '.join(steps)} were trained{shared}; kept: {left}."


def tabulate_bracket(result: RunResult, bracket: BracketResult) -> BracketTable:
    """Every candidate that was trained, with its validation error after each of its rungs."""
    errors: dict[str, list[str]] = {}
    standings: dict[str, Standing] = {}
    for rung in bracket.rungs:
        for standing in rung.ranking:
            errors.setdefault(standing.id, []).append(format_percent(standing.val_error))
    for rung in reversed(bracket.rungs):  # who came further stands before who did not
        for standing in rung.ranking:
            standings.setdefault(standing.id, standing)
    best = bracket.rungs[-1].best if bracket.rungs else ()
    networks = dict(zip((standing.id for standing in best), bracket.winners, strict=False))
    rows = [
        (
            name,
            standing.origin,
            networks.get(name, ""),
            format_count(standing.params),
            *errors[name],
            *[""] * (len(bracket.rungs) - len(errors[name])),
        )
        for name, standing in standings.items()
    ]
    heads = (
        "candidate",
        "origin",
        "network",
        "params",
        *(f"after {format_epochs(rung.epochs)}" for rung in bracket.rungs),
    )
    return BracketTable(_name(result, bracket), heads, tuple(rows))


def _name(result: RunResult, bracket: BracketResult) -> str:
    """Who competes in a bracket, and within which budget."""
    who = {"found": "Candidates of the search", "random": "Random candidates"}.get(bracket.role, bracket.role)
    limits = {name: limit for name, limit in bracket.budget.items() if name in result.units}
    return f"{who} within {describe_costs(limits, result.units)}" if limits else who
