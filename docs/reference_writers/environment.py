"""What the reference describes: the plugins of this repository, whatever else is installed."""

from __future__ import annotations

import tomllib
from pathlib import Path

from nasplug.plugins import Plugins, Registration, load_plugins

ROOT = Path(__file__).parents[2]


def plugins() -> Plugins:
    """The plugins of this repository."""
    ours = distributions()
    found = load_plugins()
    found.registrations[:] = [each for each in found.registrations if each.distribution in ours]
    return found


def distributions() -> list[str]:
    """The core and the packages in `plugins/`."""
    projects = [ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]
    return [tomllib.loads(each.read_text(encoding="utf-8"))["project"]["name"] for each in projects]


def of_slot(found: Plugins, slot: str) -> list[Registration]:
    """What is registered for a slot, by name."""
    return sorted((each for each in found.registrations if each.slot == slot), key=lambda each: each.name)
