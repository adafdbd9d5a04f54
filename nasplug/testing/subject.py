"""The package that is checked: its plugins, and each thing that they register."""

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
class Subject:
    """One distribution, file or folder under check, among all plugins that are installed beside it."""

    distribution: str
    version: str
    plugins: Plugins
    cases: tuple[Case, ...]


def open_subject(asked: str | Path, options: Options | None = None) -> Subject:
    """What `asked` names: an installed distribution, else the folder of a package or a Python file.

    `options` are small options for expensive parts, by slot and name: {"space mine": {"channels": 4}}. Raises
    InputError, naming what there is, if nothing fits.
    """
    settings = attrs.evolve(Settings.from_environment(), strict=False)
    plugins = load_plugins(settings, quiet=True)
    own = _named(plugins, str(asked))
    if not own:
        path = Path(asked)
        if not path.exists():
            known = {each.distribution for each in plugins.all}
            raise choose_from("installed plugin, file or folder", str(asked), known)
        settings = attrs.evolve(settings, paths=(*settings.paths, path))
        plugins = load_plugins(settings, quiet=True)
        own = _named(plugins, next(one.distribution for one in find_plugins((path,)) if one.path == path.resolve()))
    return Subject(own[0].distribution, own[0].version, plugins, tuple(_cases(plugins, own, options or {}, settings)))


def _named(plugins: Plugins, name: str) -> list[Plugin]:
    return [each for each in plugins.all if canonicalize_name(each.distribution) == canonicalize_name(name)]


def _cases(plugins: Plugins, own: list[Plugin], options: Options, settings: Settings) -> Iterator[Case]:
    for plugin in own:
        yield Case(PLUGIN, plugin.name, plugins, plugin, None, options, settings)
        for registration in plugin.registers:
            yield Case(registration.slot, registration.name, plugins, plugin, registration, options, settings)
        if "nasplug_event" in plugin.hooks:
            yield Case(OBSERVER, plugin.name, plugins, plugin, None, options, settings)
