"""The package that is checked: its plugins, and a case for each thing that they register."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
from packaging.utils import canonicalize_name

from nasplug.errors import choose_from
from nasplug.plugins import Plugin, Plugins, Settings, load_plugins
from nasplug.plugins.discovery import find_plugins
from nasplug.testing.case import Case
from nasplug.testing.check import OBSERVER, PLUGIN

Options = Mapping[str, Mapping[str, Any]]


@attrs.frozen(eq=False)
class CheckedPackage:
    """One distribution, file or folder under check, loaded together with all installed plugins."""

    distribution: str
    version: str
    plugins: Plugins
    cases: tuple[Case, ...]


def open_package(name_or_path: str | Path, options: Options | None = None) -> CheckedPackage:
    """Loads the package named: an installed distribution, else the folder of a package or a Python file.

    `options` are small options for expensive parts, by slot and name: {"space mine": {"channels": 4}}. Raises
    InputError, naming what is installed, if there is no such distribution, file or folder.
    """
    settings = attrs.evolve(Settings.from_environment(), strict=False)
    plugins = load_plugins(settings, quiet=True)
    own = _plugins_of(plugins, str(name_or_path))
    if not own:
        path = Path(name_or_path)
        if not path.exists():
            known = {plugin.distribution for plugin in plugins.all}
            raise choose_from("installed plugin, file or folder", str(name_or_path), known)
        settings = attrs.evolve(settings, paths=(*settings.paths, path))
        plugins = load_plugins(settings, quiet=True)
        distribution = next(origin.distribution for origin in find_plugins((path,)) if origin.path == path.resolve())
        own = _plugins_of(plugins, distribution)
    cases = tuple(_cases(plugins, own, options or {}, settings))
    return CheckedPackage(own[0].distribution, own[0].version, plugins, cases)


def _plugins_of(plugins: Plugins, distribution: str) -> list[Plugin]:
    name = canonicalize_name(distribution)
    return [plugin for plugin in plugins.all if canonicalize_name(plugin.distribution) == name]


def _cases(plugins: Plugins, own: list[Plugin], options: Options, settings: Settings) -> Iterator[Case]:
    for plugin in own:
        yield Case(PLUGIN, plugin.name, plugins, plugin, None, options, settings)
        for registration in plugin.registers:
            yield Case(registration.slot, registration.name, plugins, plugin, registration, options, settings)
        if "nasplug_event" in plugin.hooks:
            yield Case(OBSERVER, plugin.name, plugins, plugin, None, options, settings)
