"""The plugins that the reference describes: those of this repository, whatever else is installed."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

from nasplug.plugins import Plugins, Registration, Settings, load_plugins

ROOT = Path(__file__).parents[2]


def load() -> Plugins:
    """Loads the plugins of this repository; those that are not installed, from their folders."""
    names = distributions()
    folders = [path.parent for path in sorted(ROOT.glob("plugins/*/pyproject.toml")) if not _is_installed(path.parent)]
    plugins = load_plugins(Settings(paths=tuple(folders)))
    plugins.registrations[:] = [item for item in plugins.registrations if item.distribution in names]
    return plugins


def _is_installed(folder: Path) -> bool:
    try:
        metadata.distribution(folder.name)
    except metadata.PackageNotFoundError:
        return False
    return True


def distributions() -> list[str]:
    """The names of the core and of the packages in `plugins/`."""
    projects = [ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]
    return [tomllib.loads(path.read_text(encoding="utf-8"))["project"]["name"] for path in projects]


def of_slot(plugins: Plugins, slot: str) -> list[Registration]:
    """The registrations of a slot, sorted by name."""
    return sorted((item for item in plugins.registrations if item.slot == slot), key=lambda item: item.name)
