"""The best found network against the best reference network: what the search is worth beside a design by hand."""

from __future__ import annotations

import attrs

from nasplug.report.number_format import format_count, format_percent, format_points
from nasplug.store.best import best_reference
from nasplug.store.network_result import NetworkResult
from nasplug.store.result import RunResult


@attrs.frozen
class ReferenceComparison:
    """The best found network of a run and the best reference network of its cost, both tested.

    Each was chosen among its kind by validation error.
    """

    found: NetworkResult
    reference: NetworkResult
    gain: float
    """Test error of the reference network minus that of the found one: positive where the search paid off."""


def compare_with_reference(result: RunResult) -> ReferenceComparison | None:
    """The comparison of a run; None if one of the two is missing or has not been tested."""
    found = result.network(result.best)
    reference = None if found is None else best_reference(result.networks, found)
    if found is None or reference is None or found.test_error is None or reference.test_error is None:
        return None
    return ReferenceComparison(found, reference, reference.test_error - found.test_error)


def describe_reference(comparison: ReferenceComparison) -> str:
    """What the comparison says, in one sentence."""
    found, reference, gain = comparison.found, comparison.reference, comparison.gain
    side = "lower" if gain > 0 else "higher"
    difference = f"{format_points(abs(gain))} {side} than" if gain else "equal to"
    return (
        f"The test error of the best network, {format_percent(found.test_error)} with {format_count(found.params)} "
        f"parameters, is {difference} that of the best reference network, {reference.reference} ({reference.id}): "
        f"{format_percent(reference.test_error)} with {format_count(reference.params)} parameters."
    )
