"""Found against random: how much the search was worth, with its uncertainty, in plain words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from nasplug.report.number_format import percent, points
from nasplug.report.run_record import RunRecord
from nasplug.store.result import NetworkResult


@attrs.frozen
class Pair:
    """A found network and a random one of equal size, both tested."""

    found: NetworkResult
    random: NetworkResult
    gain: float
    """Test error of the random network minus that of the found one: positive where the search paid off."""


@attrs.frozen
class Comparison:
    """The gains of all tested pairs."""

    pairs: tuple[Pair, ...]

    @property
    def mean(self) -> float:
        """The mean gain."""
        return sum(each.gain for each in self.pairs) / len(self.pairs)

    @property
    def standard_error(self) -> float | None:
        """Of the mean gain, from the spread over pairs; None for a single pair, which has no spread."""
        count, mean = len(self.pairs), self.mean
        if count < 2:
            return None
        variance = sum((each.gain - mean) ** 2 for each in self.pairs) / (count - 1)
        return math.sqrt(variance / count)

    @property
    def worse(self) -> tuple[Pair, ...]:
        """The pairs in which the random network has the lower error."""
        return tuple(each for each in self.pairs if each.gain < 0)


def compare(record: RunRecord) -> Comparison | None:
    """All tested pairs of a run; None if there is none yet."""
    pairs = [
        Pair(found, random, random.test_error - found.test_error)
        for found in record.result.networks
        if found.found and found.test_error is not None
        for random in record.result.matched(found)
        if random.test_error is not None
    ]
    return Comparison(tuple(pairs)) if pairs else None


def verdict(comparison: Comparison) -> list[str]:
    """What the comparison says, as sentences."""
    mean, error, count = comparison.mean, comparison.standard_error, len(comparison.pairs)
    spread = f" ± {points(error)} (standard error" if error is not None else " (no standard error from a single pair"
    side = "lower" if mean > 0 else "higher" if mean < 0 else "different"
    sentences = [
        f"The test error of found networks is {points(abs(mean))}{spread}, n = {count} {_pairs(count)}) "
        f"{side} than that of random networks of equal size."
    ]
    if mean < 0:
        sentences.append("On average, the found networks are worse than the random ones.")
    if error is not None and abs(mean) < 2 * error:
        sentences.append("That is less than two standard errors: it may be chance.")
    return sentences + _losses(comparison.worse)


def _losses(worse: Sequence[Pair]) -> list[str]:
    return [
        f"Found network {each.found.id} is worse than its random network {each.random.id}: "
        f"{percent(each.found.test_error)} against {percent(each.random.test_error)} test error."
        for each in worse
    ]


def _pairs(count: int) -> str:
    return "matched pair" if count == 1 else "matched pairs"
