"""Objects that a Python program passes in place of the names in a recipe."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from nasplug.compose import OptionLayer, recipe_sections
from nasplug.data.in_memory import InMemorySource, to_image_data
from nasplug.errors import InputError, choose_from
from nasplug.parts import DataSource, ImageData
from nasplug.plugins import SLOT_WORDS, Plugins
from nasplug.plugins.program_objects import PROGRAM, is_program_object, opaque_options, program_name, registered_name
from nasplug.plugins.slot_types import slot_type
from nasplug.values.options import is_plain, option_fields, option_values
from nasplug.values.recipe import SLOTS

Objects = dict[str, tuple[str, Any]]
"""By slot, the name of an object in the recipe, and the object."""


def extract_objects(plugins: Plugins, sections: Mapping[str, Mapping[str, Any]]) -> tuple[OptionLayer, Objects]:
    """Replaces objects in the sections of a recipe by names.

    Returns the sections as a layer of names and options, and the objects by slot. Raises InputError for unknown
    sections, and for objects that cannot be used.
    """
    known = recipe_sections(plugins)
    layer = {name: _check_section(name, section, known) for name, section in sections.items()}
    objects: Objects = {}
    for slot in SLOTS:
        part = layer.get(slot, {}).get("part")
        if part is not None and not isinstance(part, str):
            name = _add_object(plugins, slot, part, objects)
            options = {option: getattr(part, option) for option in option_fields(type(part))}
            plain = {option: value for option, value in options.items() if is_plain(value)}
            layer[slot] = plain | layer[slot] | {"part": name}
    method = layer.get("run", {}).get("method")
    if method is not None and not isinstance(method, str):
        layer["run"]["method"] = _add_object(plugins, "method", method, objects)
    images = layer.get("data", {}).get("name")
    if images is not None and not isinstance(images, str):
        source = _wrap_images(images)
        layer["data"] = layer["data"] | {"name": _name_images(images)}
        objects["dataset"] = (PROGRAM, source)
    return layer, objects


def match_objects(layer: OptionLayer, given: Mapping[str, Any]) -> Objects:
    """The objects with which a run is resumed, checked against its recorded `layer`.

    `given` has them by slot, images as "dataset". Raises InputError for objects of another class or with other options
    than those that the run was started with.
    """
    objects: Objects = {}
    for slot, value in given.items():
        section = "data" if slot == "dataset" else slot
        name = layer.get(section, {}).get("name" if slot == "dataset" else "part", "")
        if not is_program_object(name):
            raise InputError(
                f"The {SLOT_WORDS[slot]} of this run is '{name}', which needs no object to go on; leave '{section}' "
                f"out."
            )
        if slot == "dataset":  # the images themselves are compared when they are loaded
            objects[slot] = (PROGRAM, _wrap_images(value))
            continue
        _check_kind(slot, value)
        if program_name(value).rpartition(".")[2] != name.rpartition(".")[2]:
            raise InputError(
                f"The {SLOT_WORDS[slot]} of this run is of the class {name.removeprefix(f'{PROGRAM}:')}, but got "
                f"{value!r:.80}."
            )
        _check_options(slot, {option: recorded for option, recorded in layer[slot].items() if option != "part"}, value)
        objects[slot] = (name, value)
    return objects


def format_call(arguments: Mapping[str, object]) -> str:
    """The call of `nasplug.search` with these arguments, for `recipe.toml`. Objects are written as `Class(...)`."""
    return f"nasplug.search({', '.join(f'{name}={_format_value(value)}' for name, value in arguments.items())})"


def _format_value(value: object) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name!r}: {_format_value(item)}' for name, item in value.items())}}}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_format_value, value))})"
    return repr(value) if is_plain(value) else f"{type(value).__name__}(...)"


def _check_section(section: str, options: object, known: Sequence[str]) -> dict[str, Any]:
    if section not in known:
        raise choose_from("section of a recipe", section, known)
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise InputError(f"'{section}' takes options by name, such as {{'epochs': 5}}, but got {options!r:.80}.")
    return {name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in options.items()}


def _add_object(plugins: Plugins, slot: str, value: Any, objects: Objects) -> str:
    """The name of an object in the recipe. Adds it to `objects`, unless a registered name stands for the same."""
    _check_kind(slot, value)
    if slot == "method":
        named = plugins.find_all(slot, value.name)
        if len(named) == 1 and plugins.resolve(named[0]) == value:
            return named[0].name
        name = f"{PROGRAM}:{value.name}"
    else:
        registered = registered_name(plugins, slot, value)
        if registered is not None and not opaque_options(value):
            return registered
        name = program_name(value)
    objects[slot] = (name, value)
    return name


def _check_kind(slot: str, value: object) -> None:
    expected, word = slot_type(slot), SLOT_WORDS[slot]
    if isinstance(value, type):
        raise InputError(f"'{slot}' takes an instance, but {value.__name__} is a class; hand over {value.__name__}().")
    if not isinstance(value, expected):
        raise InputError(
            f"'{slot}' takes the name of a {word} or an instance of {expected.__module__.rpartition('.')[0]}."
            f"{expected.__name__}, but got {value!r:.80}."
        )
    if not attrs.has(type(value)):
        raise InputError(
            f"The {word} {type(value).__name__} is not an attrs class; put @attrs.define before it, and declare its "
            f"options as fields."
        )


def _check_options(slot: str, recorded: Mapping[str, Any], part: Any) -> None:
    present = {name: value for name, value in option_values(part).items() if is_plain(value)}
    for name in recorded.keys() | present.keys():
        if recorded.get(name) != present.get(name):
            raise InputError(
                f"The {SLOT_WORDS[slot]} of this run has {name}={recorded.get(name)!r}, but the one handed over has "
                f"{name}={present.get(name)!r}; hand over one with the same options."
            )


def _wrap_images(images: object) -> InMemorySource:
    return InMemorySource(images=images if isinstance(images, DataSource) else to_image_data(images))


def _name_images(images: object) -> str:
    """The name of images in the recipe: that of the data set, or of the class of the object."""
    if isinstance(images, ImageData):
        return f"{PROGRAM}:{images.name}"
    return program_name(images[0] if isinstance(images, tuple | list) else images)
