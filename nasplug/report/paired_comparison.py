"""Found against random networks: how much the search was worth, with its uncertainty."""

from __future__ import annotations

import math
from statistics import fmean, stdev

import attrs

from nasplug.report.number_format import format_percent, format_points
from nasplug.report.spread import Spread, describe_chance
from nasplug.store.network_result import NetworkResult
from nasplug.store.result import RunResult


@attrs.frozen
class Pair:
    """A found network and a random one of equal size, both tested."""

    found: NetworkResult
    random: NetworkResult
    gain: float
    """Test error of the random network minus that of the found one: positive where the search paid off."""


@attrs.frozen
class PairedComparison:
    """The gains of all tested pairs."""

    pairs: tuple[Pair, ...]
    """At least one."""

    @property
    def mean(self) -> float:
        """The mean gain."""
        return fmean(pair.gain for pair in self.pairs)

    @property
    def standard_error(self) -> float | None:
        """Of the mean gain, from the spread over pairs; None for a single pair, which has no spread."""
        gains = [pair.gain for pair in self.pairs]
        return stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean gain (Student's t); None where there is one found network.

        Pairs with the same found network share its training: each found network counts once, with its mean gain.
        """
        gains: dict[str, list[float]] = {}
        for pair in self.pairs:
            gains.setdefault(pair.found.id, []).append(pair.gain)
        return Spread(tuple(fmean(each) for each in gains.values())).interval

    @property
    def losses(self) -> tuple[Pair, ...]:
        """The pairs in which the random network has the lower error."""
        return tuple(pair for pair in self.pairs if pair.gain < 0)


def compare_pairs(result: RunResult) -> PairedComparison | None:
    """All tested pairs of a run; None if there is none yet."""
    pairs = [
        Pair(found, random, random.test_error - found.test_error)
        for found in result.networks
        if found.found and found.test_error is not None
        for random in result.matched(found)
        if random.test_error is not None
    ]
    return PairedComparison(tuple(pairs)) if pairs else None


def describe_pairs(comparison: PairedComparison) -> list[str]:
    """What the comparison says, as sentences."""
    mean, error, count = comparison.mean, comparison.standard_error, len(comparison.pairs)
    spread = " (no standard error from a single pair" if error is None else f" ± {format_points(error)} (standard error"
    side = "lower" if mean > 0 else "higher" if mean < 0 else "different"
    unit = "matched pair" if count == 1 else "matched pairs"
    sentences = [
        f"The test error of found networks is {format_points(abs(mean))}{spread}, n = {count} {unit}) {side} than that "
        f"of random networks of equal size."
    ]
    if mean < 0:
        sentences.append("On average, the found networks are worse than the random ones.")
    interval = comparison.interval
    if interval is None:
        sentences.append("From a single found network there is no interval: it may be chance.")
    else:
        low, high = (100 * bound for bound in interval)
        chance = describe_chance(interval)
        sentences.append(f"95 % interval over found networks: {low:+.2f} to {high:+.2f} points; {chance}.")
    return sentences + [
        f"Found network {pair.found.id} is worse than its random network {pair.random.id}: "
        f"{format_percent(pair.found.test_error)} against {format_percent(pair.random.test_error)} test error."
        for pair in comparison.losses
    ]
