"""The plugins that the reference describes: those of this repository, whatever else is installed."""

from __future__ import annotations

import tomllib
from pathlib import Path

from nasplug.plugins import Plugins, Registration, load_plugins

ROOT = Path(__file__).parents[2]


def load() -> Plugins:
    """Loads the plugins of this repository."""
    names = distributions()
    plugins = load_plugins()
    plugins.registrations[:] = [item for item in plugins.registrations if item.distribution in names]
    return plugins


def distributions() -> list[str]:
    """The names of the core and of the packages in `plugins/`."""
    projects = [ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]
    return [tomllib.loads(path.read_text(encoding="utf-8"))["project"]["name"] for path in projects]


def of_slot(plugins: Plugins, slot: str) -> list[Registration]:
    """The registrations of a slot, sorted by name."""
    return sorted((item for item in plugins.registrations if item.slot == slot), key=lambda item: item.name)
