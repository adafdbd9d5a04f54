"""How well one order of a few things agrees with another, and how sure that is.

Scores and errors alike are the better the lower they are, so that agreement is positive.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import attrs
import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Statistic = Callable[[Values, Values], float]
"""From scores and errors, (things,) each, to a figure; NaN where it is not defined."""

DRAWS = 2000
"""Samples of the bootstrap."""
TAILS = (2.5, 97.5)
"""The percentiles between which the 95 % interval lies."""


@attrs.frozen
class Estimate:
    """A figure of a sample, with its 95 % interval."""

    value: float
    interval: tuple[float, float]


def kendall(scores: Values, errors: Values) -> float:
    """Kendall's tau-b (Kendall, Biometrika 1945), from -1 to 1; NaN where all scores or all errors are equal.

    Concordant minus discordant pairs, over the geometric mean of the pairs that are not tied in the one and the other.
    """
    return _cosine(_signs(scores), _signs(errors))


def spearman(scores: Values, errors: Values) -> float:
    """Spearman's rank correlation, from -1 to 1; NaN where all scores or all errors are equal.

    Tied values have their mean rank.
    """
    # The sum of the signs of x_i - x_j over j is twice the rank of x_i, counted from the mean rank.
    return _cosine(_signs(scores).sum(1), _signs(errors).sum(1))


def regret(count: int) -> Statistic:
    """The least error among the `count` best scores, minus the least of all: what is lost by training these alone.

    Of things that tie for the last of these places, random ones are taken, and the regret is the expected one.
    """

    def measure(scores: Values, errors: Values) -> float:
        last = np.sort(scores)[count - 1]
        certain, tied = errors[scores < last], errors[scores == last]
        least = certain.min() if len(certain) else math.inf
        expected = expected_least(np.minimum(tied, least), count - len(certain))
        return max(0.0, expected - float(errors.min()))  # rounding may leave less than nothing

    return measure


def expected_least(values: Values, count: int) -> float:
    """The expected minimum of `count` different values, drawn at random from `values`."""
    total, ordered = math.comb(len(values), count), np.sort(values)
    # The minimum is the value at `place` in as many of the draws as there are draws of the others from those behind it.
    chances = [math.comb(len(ordered) - 1 - place, count - 1) / total for place in range(len(ordered))]
    return float(np.dot(chances, ordered))


def estimate(statistic: Statistic, scores: Sequence[float], errors: Sequence[float], seed: int = 0) -> Estimate | None:
    """A statistic with its 95 % interval: the percentile bootstrap over things (Efron & Tibshirani, 1993).

    The samples depend on `seed` and on the number of things alone. None where the statistic is not defined.
    """
    first, second = np.array(scores, dtype=np.float64), np.array(errors, dtype=np.float64)
    value = statistic(first, second)
    if math.isnan(value):
        return None
    generator = np.random.default_rng(seed)
    drawn = [generator.integers(0, len(first), len(first)) for _ in range(DRAWS)]
    values = np.array([statistic(first[sample], second[sample]) for sample in drawn])
    low, high = np.nanpercentile(values, TAILS)
    return Estimate(value, (float(low), float(high)))


def _signs(values: Values) -> Values:
    """The signs of all differences, (things, things)."""
    return np.sign(values[:, None] - values[None, :])


def _cosine(first: Values, second: Values) -> float:
    lengths = math.sqrt(float(np.square(first).sum()) * float(np.square(second).sum()))
    return float((first * second).sum()) / lengths if lengths > 0 else math.nan
