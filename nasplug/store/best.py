"""Which networks of a run are the best: the rules for the Pareto front and the choice of one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from types import MappingProxyType

from nasplug.store.network_result import NetworkResult
from nasplug.values import Budget, is_within


def pareto_front(networks: Sequence[NetworkResult]) -> tuple[str, ...]:
    """Ids of the found networks that no other found one beats in both error and params, from small to large.

    The error is the one of `best_network`, never the test error.
    """
    ids: list[str] = []
    lowest = math.inf
    for network, error in sorted(_candidates(networks), key=lambda rated: (rated[0].params, rated[1])):
        if error < lowest:
            lowest = error
            ids.append(network.id)
    return tuple(ids)


def best_network(networks: Sequence[NetworkResult], budget: Budget = MappingProxyType({})) -> NetworkResult | None:
    """The found network with the lowest validation error within the budget, ties to fewer params; None if none fits.

    It is the validation error that the run selects by (`NetworkResult.selection_error`). A run that holds out no
    validation images has only the last training loss to choose by.
    """
    return _choose((network, error) for network, error in _candidates(networks) if is_within(network.costs, budget))


def best_reference(networks: Sequence[NetworkResult], beside: NetworkResult) -> NetworkResult | None:
    """The best reference network that is to be compared with `beside`: of the same budget, if it was selected for one.

    Where none is of the same budget, because it would be one of another budget once more, those that keep it count. It
    is chosen as the best found network is, by `best_network`. None if there is none.
    """
    matched = [
        (network, error)
        for network, error in _candidates(networks, "reference")
        if network.matched_to in (None, beside.id)
    ]
    same = [(network, error) for network, error in matched if network.budget == beside.budget]
    return _choose(same or [rated for rated in matched if is_within(rated[0].costs, beside.budget)])


def _choose(rated: Iterable[tuple[NetworkResult, float]]) -> NetworkResult | None:
    """The network with the lowest error, ties to fewer params, then to the first."""
    keys = [(error, network.params, place, network) for place, (network, error) in enumerate(rated)]
    return min(keys)[-1] if keys else None


def _candidates(networks: Sequence[NetworkResult], role: str = "found") -> list[tuple[NetworkResult, float]]:
    """The networks of a role that can be chosen, with the figure that they are chosen by."""
    validated = any(network.selection_error is not None for network in networks)
    errors = [(network, network.selection_error if validated else network.train_loss) for network in networks]
    return [(network, error) for network, error in errors if network.role == role and error is not None]
