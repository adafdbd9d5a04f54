"""Which network of a run its user means."""

from __future__ import annotations

from collections.abc import Sequence

from nasplug.errors import InputError
from nasplug.results.result import Result, TrainedNetwork


def choose(result: Result, name: str | None, max_params: int | None, max_macs: int | None) -> TrainedNetwork:
    """The network whose id begins with `name`; without a name the best one within the limits.

    Raises InputError if no network or more than one is meant, naming what there is. It need not have weights.
    """
    if name is None:
        return result.best(max_params, max_macs)
    if max_params is not None or max_macs is not None:
        raise InputError(f"'{name}' names one network, and limits choose among all; give the one or the others.")
    named = [each for each in result.planned if name and each.id.startswith(name)]
    if len(named) > 1:
        raise InputError(f"'{name}' begins the ids of {len(named)} networks; write more of one: {_listed(named)}.")
    if not named:
        has = _listed(result.planned) or "none yet"
        raise InputError(f"The run '{result.run.path}' has no network '{name}'; it has {has}.")
    return named[0]


def _listed(networks: Sequence[TrainedNetwork]) -> str:
    return ", ".join(f"{each.id} ({each.record['role']}, {each.params:,} params)" for each in networks)
