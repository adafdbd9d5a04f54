"""Mean and spread of a few values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

import attrs
from scipy.special import stdtrit

CONFIDENCE = 0.95


@attrs.frozen
class Spread:
    """Values of independent runs."""

    values: tuple[float, ...]
    """At least one."""

    @property
    def mean(self) -> float:
        """Their mean."""
        return fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """Their standard deviation (of a sample); None for a single value."""
        return stdev(self.values) if len(self.values) > 1 else None

    @property
    def standard_error(self) -> float | None:
        """That of the mean; None for a single value."""
        return None if self.deviation is None else self.deviation / math.sqrt(len(self.values))

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval of the mean (Student's t); None for a single value."""
        if self.standard_error is None:
            return None
        half = float(stdtrit(len(self.values) - 1, (1 + CONFIDENCE) / 2)) * self.standard_error
        return self.mean - half, self.mean + half


def describe_chance(interval: tuple[float, float]) -> str:
    """Whether a difference with this interval may be chance, as a clause."""
    low, high = interval
    return "that includes zero, so it may be chance" if low <= 0 <= high else "that excludes zero"


def measure_spread(values: Sequence[float | None]) -> Spread | None:
    """The spread of the values that were measured; None if there is none."""
    measured = tuple(value for value in values if value is not None)
    return Spread(measured) if measured else None
