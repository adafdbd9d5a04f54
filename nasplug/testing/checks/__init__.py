"""All checks of the contract, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nasplug.testing.check import Check
from nasplug.testing.checks import (
    costs,
    datasets,
    executors,
    learning,
    methods,
    observers,
    optimizers,
    options,
    packages,
    references,
    schedules,
    searches,
    selectors,
    side_effects,
    static_graphs,
    teachers,
    updates,
)
from nasplug.testing.checks.spaces import layers, naming, networks, passes, supernets

MODULES = (
    packages,
    observers,
    options,
    datasets,
    costs,
    references,
    executors,
    naming,
    networks,
    layers,
    passes,
    supernets,
    searches,
    methods,
    optimizers,
    updates,
    schedules,
    selectors,
    teachers,
    side_effects,
    static_graphs,
    learning,
)


def _checks() -> Iterator[Check]:
    checks = [value for module in MODULES for value in vars(module).values() if isinstance(value, Check)]
    return iter(sorted(checks, key=lambda check: not check.first))


CHECKS: Mapping[str, Check] = {check.name: check for check in _checks()}
"""Every check by name; those marked `first` come before all others."""
