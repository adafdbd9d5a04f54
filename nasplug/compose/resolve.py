"""The recipe of a run, from layers of options.

Order: part defaults < recipe of the method < preset < configuration file < command line. Options belong to
(slot, part): when a later layer names another part, what earlier layers said for the slot is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from nasplug.compose.layers import Layer
from nasplug.errors import InputError, choose_from
from nasplug.plugins import Plugins, Registration
from nasplug.values import Method
from nasplug.values.options import build, option_values, options_of
from nasplug.values.recipe import SLOTS, DataOptions, Part, Recipe, Retraining, RunOptions, Searching, Selection


def resolve(plugins: Plugins, layers: Sequence[Layer]) -> Recipe:
    """The complete recipe that `layers` (earlier ones weaker) ask for.

    Raises InputError for names that nobody registers, unknown options and values that do not fit.
    """
    run = build(RunOptions, _merged(layers, "run"), "run")
    registration = plugins.find("method", run.method)
    method: Method = plugins.resolve(registration)
    layers = [_of_method(method), _preset(method, run.preset), *layers]
    used = [registration]
    parts = {}
    for slot in SLOTS:
        name, options = _part(layers, slot)
        parts[slot], source = _complete(plugins, slot, name, options)
        used.append(source)
    data_options = _merged(layers, "data")
    known = options_of(DataOptions)
    data = build(DataOptions, {name: value for name, value in data_options.items() if name in known}, "data")
    source_options = {name: value for name, value in data_options.items() if name not in known}
    source_name = data.name.partition(":")[0]
    _check_data_options(plugins, source_name, source_options)
    source_part, source = _complete(plugins, "dataset", source_name, source_options)
    return Recipe(
        run=run,
        parts=parts,
        data=data,
        source=source_part,
        search=build(Searching, _merged(layers, "search"), "search"),
        retrain=build(Retraining, _merged(layers, "retrain"), "retrain"),
        select=build(Selection, _merged(layers, "select"), "select"),
        plugins={each.distribution: each.version for each in [*used, source]},
    )


def check_versions(plugins: Plugins, locked: Mapping[str, str]) -> None:
    """Raises InputError if a distribution that a run was started with is missing or has another version now."""
    present = {each.distribution: each.version for each in plugins.registrations}
    for distribution, version in locked.items():
        if present.get(distribution) != version:
            found = present.get(distribution, "not loaded" if distribution.endswith(".py") else "not installed")
            way = f"install version {version}"
            if distribution.endswith(".py"):  # a file, whose version is a digest of its content
                way = f"name the file as it was then with --plugin {distribution}"
            raise InputError(
                f"This run was started with {distribution} {version}, but {distribution} is now {found}; "
                f"{way} to go on, or start a new run from its recipe.toml with --config."
            )


def _of_method(method: Method) -> Layer:
    sections: dict[str, dict[str, Any]] = {name: dict(options) for name, options in method.options.items()}
    for slot in SLOTS:
        sections[slot] = {"part": getattr(method, slot)} | sections.get(slot, {})
    return sections


def _preset(method: Method, name: str) -> Layer:
    if name not in method.presets:
        raise choose_from(f"preset of {method.name}", name, method.presets)
    return method.presets[name]


def _merged(layers: Sequence[Layer], section: str) -> dict[str, Any]:
    return {name: value for layer in layers for name, value in layer.get(section, {}).items()}


def _part(layers: Sequence[Layer], slot: str) -> tuple[str, dict[str, Any]]:
    name, options = "", dict[str, Any]()
    for layer in layers:
        section = dict(layer.get(slot, {}))
        named = section.pop("part", name)
        if not isinstance(named, str):
            raise InputError(f"'{slot}.part' must be the name of a part, such as '{name}', but it is {named!r}.")
        options = options | section if named == name else section
        name = named
    return name, options


def _check_data_options(plugins: Plugins, name: str, options: Mapping[str, Any]) -> None:
    """The section `data` is shared with the data set: a misspelt option may be meant for either."""
    cls = plugins.resolve(plugins.find("dataset", name))
    known = {*options_of(DataOptions), *(options_of(cls) if attrs.has(cls) else ())}
    for option in options:
        if option not in known:
            raise choose_from(f"option of data (with '{name}')", option, known)


def _complete(plugins: Plugins, slot: str, name: str, options: Mapping[str, Any]) -> tuple[Part, Registration]:
    registration = plugins.find(slot, name)
    cls = plugins.resolve(registration)
    if not attrs.has(cls):
        raise InputError(
            f"The {slot} '{name}' of {registration.distribution} is not an attrs class; its author must mend that."
        )
    return Part(name, option_values(build(cls, options, f"{slot} {name}"))), registration
