"""All checks of the contract, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nasplug.testing.check import Check
from nasplug.testing.checks import (
    datasets,
    learning,
    methods,
    observers,
    optimizers,
    options,
    packages,
    schedules,
    searches,
    static_graphs,
    teachers,
    updates,
)
from nasplug.testing.checks.spaces import naming, networks, supernets

MODULES = (
    packages,
    observers,
    options,
    datasets,
    naming,
    networks,
    supernets,
    searches,
    methods,
    optimizers,
    updates,
    schedules,
    teachers,
    static_graphs,
    learning,
)


def _checks() -> Iterator[Check]:
    found = [each for module in MODULES for each in vars(module).values() if isinstance(each, Check)]
    return iter(sorted(found, key=lambda check: not check.first))


CHECKS: Mapping[str, Check] = {each.name: each for each in _checks()}
"""Every check by name; those on which others depend come first."""
