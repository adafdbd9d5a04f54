"""Successive halving: how many candidates are trained for how long, and which of them go on.

Jamieson & Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization, AISTATS 2016; the inner
loop of Hyperband (Li et al., JMLR 2018), with a factor of two.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs


@attrs.frozen
class Rung:
    """One round of trainings, all of the same length."""

    epochs: int
    candidates: int
    """How many are trained."""
    kept: int
    """How many of them, the best, go on."""


def plan_rungs(candidates: int, winners: int, epochs: int, share: float) -> tuple[Rung, ...]:
    """The rungs in which `candidates` become `winners`: each trains twice as long as the one before, and keeps half.

    The first trains for `share` of `epochs`, at least one epoch. A rung that would train for `epochs` or more is the
    last and trains for `epochs`: nothing longer could tell more, so it keeps the winners. There is no rung where there
    is nothing to choose.
    """
    rungs: list[Rung] = []
    length = max(1, round(share * epochs))
    while candidates > winners:
        kept = winners if length >= epochs else max(winners, -(-candidates // 2))
        rungs.append(Rung(min(length, epochs), candidates, kept))
        candidates, length = kept, 2 * length
    return tuple(rungs)


def rank(errors: Sequence[float], params: Sequence[int]) -> list[int]:
    """The places of candidates from the best to the worst: by validation error, ties to fewer params, then in order."""
    return sorted(range(len(errors)), key=lambda place: (errors[place], params[place]))
