"""The recipe of a run, from layers of options.

Order: part defaults < recipe of the method < preset < configuration file < command line. Options belong to
(slot, part): when a later layer names another part, what earlier layers said for the slot is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from nasplug.compose.budget import default_weight, move_shorthands, read_budget
from nasplug.compose.executors import complete_executor
from nasplug.compose.layers import BUDGET, OptionLayer
from nasplug.compose.references import build_reference
from nasplug.errors import InputError, choose_from, quote
from nasplug.plugins import Plugin, Plugins, Registration
from nasplug.plugins.located_names import split_location
from nasplug.plugins.plugin import HOST
from nasplug.plugins.program_objects import PROGRAM, build_part, check_present
from nasplug.values import Method
from nasplug.values.cost import COUNTED
from nasplug.values.options import build, option_fields, option_values
from nasplug.values.recipe import (
    EARLIER_SELECTION,
    EXECUTOR,
    SLOTS,
    DataOptions,
    Part,
    Recipe,
    RetrainOptions,
    RunOptions,
    SearchOptions,
    SelectOptions,
)

AskedParts = dict[str, tuple[str, dict[str, Any]]]
"""By slot, the name of a part and the options that are asked for."""

if TYPE_CHECKING:
    from nasplug.parts import ArchitectureOptimizer, DataSource


def resolve(plugins: Plugins, layers: Sequence[OptionLayer]) -> Recipe:
    """The complete recipe that `layers` (earlier ones weaker) ask for.

    Raises InputError for names that no plugin registers, unknown options and values that do not fit.
    """
    run = build(RunOptions, _merge_section(layers, "run"), "run")
    run = attrs.evolve(run, method=run.method or default_method(plugins))
    way = "nasplug.search({}, ...) starts such a run"
    check_present(plugins, {"method": run.method}, way)
    registration = plugins.find("method", run.method)
    method: Method = plugins.resolve(registration)
    layers = [_method_layer(method), _preset_layer(method, run.preset), *layers]
    chosen = {"method": run.method, "preset": run.preset}
    run = build(RunOptions, _merge_section(layers, "run") | chosen, "run")
    recipe = _build_recipe(plugins, run, layers, way, [registration])
    if any("weight" in layer.get(BUDGET, {}) for layer in layers):
        return recipe
    return attrs.evolve(recipe, budget=attrs.evolve(recipe.budget, weight=default_weight(plugins, recipe)))


def default_method(plugins: Plugins) -> str:
    """The method that is taken where none is named: one that its distribution prefers, the core's own last.

    Raises InputError if no method is installed that any distribution prefers.
    """
    preferred = [registration for registration in plugins.registrations if registration.preferred]
    if not preferred:
        raise InputError("No method was named, and no installed plugin prefers one; name one with --method.")
    first = min(preferred, key=lambda registration: (registration.distribution == HOST, registration.qualified))
    return first.name if len(plugins.find_all("method", first.name)) == 1 else first.qualified


def resolve_recorded(plugins: Plugins, layer: OptionLayer, run: Path) -> Recipe:
    """The recipe that the run in this folder has written down: it is complete, so no method adds to it.

    Raises InputError for what `resolve` would refuse, and for objects of a Python program that are not there.
    """
    way = f"nasplug.resume('{run}', {{}}) goes on with the run"
    layer = {**layer, "select": {**EARLIER_SELECTION, **layer["select"]}}
    run_options = build(RunOptions, _merge_section([layer], "run"), "run")
    return _build_recipe(plugins, run_options, [layer], way, is_recorded=True)


def _build_recipe(
    plugins: Plugins,
    run: RunOptions,
    layers: Sequence[OptionLayer],
    way: str,
    method: Sequence[Registration] = (),
    *,
    is_recorded: bool = False,
) -> Recipe:
    used = list(method)
    layers = [move_shorthands(layer) for layer in layers]
    asked = {slot: _merge_part(layers, slot) for slot in SLOTS}
    data_options = _merge_section(layers, "data")
    known = option_fields(DataOptions)
    data = build(DataOptions, {name: value for name, value in data_options.items() if name in known}, "data")
    source_options = {name: value for name, value in data_options.items() if name not in known}
    check_present(plugins, {slot: name for slot, (name, _) in asked.items()} | {"dataset": data.name}, way)
    asked = _add_selector(plugins, asked)
    completed = {slot: _complete_part(plugins, slot, name, options) for slot, (name, options) in asked.items()}
    select = build(SelectOptions, _merge_section(layers, "select"), "select")
    budget = read_budget(plugins, _merge_section(layers, BUDGET))
    measures = _complete_measures(plugins, layers, (*budget.limits, *select.measures))
    source_name, _ = split_location(plugins, "dataset", data.name)
    if is_recorded:
        cls: type[DataSource] = plugins.resolve(plugins.find("dataset", source_name))
        source_options = {**cls.earlier_options, **source_options}
    _check_data_options(plugins, source_name, source_options)
    source_part, source = _complete_part(plugins, "dataset", source_name, source_options)
    references = _complete_references(plugins, layers, select.references)
    used += [registration for _, registration in (*completed.values(), *measures.values(), *references.values())]
    used.append(source)
    return Recipe(
        run=run,
        parts={slot: part for slot, (part, _) in completed.items()},
        data=data,
        source=source_part,
        search=build(SearchOptions, _merge_section(layers, "search"), "search"),
        retrain=build(RetrainOptions, _merge_section(layers, "retrain"), "retrain"),
        select=select,
        budget=budget,
        costs={name: part for name, (part, _) in measures.items()},
        references={name: part for name, (part, _) in references.items()},
        executor=complete_executor(plugins, *_merge_part(layers, EXECUTOR)),
        plugins={
            registration.distribution: registration.version
            for registration in used
            if registration.distribution != PROGRAM
        },
    )


def check_versions(plugins: Plugins, recorded: Mapping[str, str]) -> None:
    """Raises InputError if a run cannot be resumed because of the versions of distributions that it was started with.

    `recorded` has the versions by distribution. Each distribution must be there in the same version, or in a later one
    that says that it continues runs of the recorded one (`Plugin.resumes`).
    """
    registered = {registration.distribution for registration in plugins.registrations}
    for distribution, version in recorded.items():
        candidates = [plugin for plugin in plugins.all if plugin.distribution == distribution]
        if distribution not in registered or not any(plugin.can_resume(version) for plugin in candidates):
            raise InputError(_version_refusal(distribution, version, candidates))


def _version_refusal(distribution: str, version: str, candidates: Sequence[Plugin]) -> str:
    is_file = distribution.endswith(".py")
    present = "not loaded" if is_file else "not installed"
    for plugin in candidates:
        present = plugin.version if plugin.status == "active" else f"{plugin.version} and {plugin.status}"
        if plugin.status == "active" and plugin.resumes:
            present += f", which continues runs of its own version and of earlier ones in {plugin.resumes}"
    remedy = f"install version {version}, or name its folder with --plugin,"
    if is_file:  # its version is a digest of its content
        remedy = f"name the file as it was then with --plugin {distribution}"
    return (
        f"This run was started with {distribution} {version}, but {distribution} is now {present}; "
        f"{remedy} to go on, or start a new run from its recipe.toml with --config."
    )


def _method_layer(method: Method) -> OptionLayer:
    sections: dict[str, dict[str, Any]] = {name: dict(options) for name, options in method.options.items()}
    for slot in SLOTS:
        if named := getattr(method, slot):
            sections[slot] = {"part": named} | sections.get(slot, {})
    return sections


def _preset_layer(method: Method, name: str) -> OptionLayer:
    if name not in method.presets:
        raise choose_from(f"preset of {method.name}", name, method.presets)
    return method.presets[name]


def _merge_section(layers: Sequence[OptionLayer], section: str) -> dict[str, Any]:
    return {name: value for layer in layers for name, value in layer.get(section, {}).items()}


def _merge_part(layers: Sequence[OptionLayer], slot: str) -> tuple[str, dict[str, Any]]:
    name, options = "", dict[str, Any]()
    for layer in layers:
        section = dict(layer.get(slot, {}))
        named = section.pop("part", name)
        if not isinstance(named, str):
            raise InputError(f"'{slot}.part' must be the name of a part, such as '{name}', but it is {quote(named)}.")
        options = options | section if named == name else section
        name = named
    return name, options


def _add_selector(plugins: Plugins, asked: AskedParts) -> AskedParts:
    """The parts that are asked for, with the selector that the optimizer asks for where none is named.

    Options that this selector had as options of the optimizer, in recipes of earlier versions, become its own.
    """
    (name, options), (selector, own) = asked["optimizer"], asked["selector"]
    optimizer: type[ArchitectureOptimizer] = plugins.resolve(plugins.find("optimizer", name))
    selector = selector or optimizer.selector
    if selector == optimizer.selector:
        moved = {new: options[old] for old, new in optimizer.moved_options.items() if old in options}
        options = {option: value for option, value in options.items() if option not in optimizer.moved_options}
        own = moved | own
    return {**asked, "optimizer": (name, options), "selector": (selector, own)}


def _check_data_options(plugins: Plugins, name: str, options: Mapping[str, Any]) -> None:
    """Raises InputError for an option of the section `data` that neither all data sets have nor this one."""
    cls = plugins.resolve(plugins.find("dataset", name))
    known = {*option_fields(DataOptions), *option_fields(cls)}
    for option in options:
        if option not in known:
            raise choose_from(f"option of data (with '{name}')", option, known)


def _complete_measures(
    plugins: Plugins, layers: Sequence[OptionLayer], names: Sequence[str]
) -> dict[str, tuple[Part, Registration]]:
    """The cost measures that are used or have options, except those that every space counts by itself.

    Options that stand in an earlier layer than the last list of measures do not add to it.
    """
    sections = {registration.section for registration in plugins.registrations if registration.slot == "cost"}
    lists = [place for place, layer in enumerate(layers) if "measures" in layer.get("select", {})]
    given = [name for layer in layers[max(lists, default=0) :] for name in layer if name in sections]
    listed = {plugins.find("cost", name).name for name in names}
    used = [*names, *(name for name in given if name not in listed)]
    completed = {
        name: _complete_part(plugins, "cost", name, _merge_section(layers, plugins.find("cost", name).section))
        for name in dict.fromkeys(used)
    }
    return {name: part for name, part in completed.items() if name not in COUNTED}


def drop_other_measures(plugins: Plugins, layer: dict[str, Any], measures: Sequence[str]) -> None:
    """Takes the options of cost measures out of a layer, but those of `measures` and those that its budget limits."""
    kept = {plugins.find("cost", name).section for name in (*measures, *layer.get(BUDGET, {})) if name != "weight"}
    for registration in plugins.registrations:
        if registration.slot == "cost" and registration.section not in kept:
            layer.pop(registration.section, None)


def _complete_references(
    plugins: Plugins, layers: Sequence[OptionLayer], names: Sequence[str]
) -> dict[str, tuple[Part, Registration]]:
    """The reference networks that are named, with their options; what a name says after a colon is none of these."""
    completed: dict[str, tuple[Part, Registration]] = {}
    for name in names:
        registration = plugins.find("reference", split_location(plugins, "reference", name)[0])
        reference = build_reference(plugins, name, _merge_section(layers, registration.section))
        options = {key: value for key, value in option_values(reference).items() if key != reference.location_option}
        completed[name] = (Part(registration.name, options), registration)
    return completed


def _complete_part(plugins: Plugins, slot: str, name: str, options: Mapping[str, Any]) -> tuple[Part, Registration]:
    return Part(name, option_values(build_part(plugins, slot, name, options))), plugins.find(slot, name)
