"""Objects of a Python program that take part in a run as if a plugin had registered them.

To a run, an object's class is "python:MODULE.CLASS", which says what is missing where the object is not. A part is
built anew from the class and the options of the object, never shared, so that a run leaves nothing behind in it.
Options that a recipe cannot hold, such as a module or a function, come from the object wherever the part is built.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from nasplug.errors import InputError
from nasplug.plugins.dataset_names import split_dataset_name
from nasplug.plugins.installed import Plugins
from nasplug.plugins.register import SLOT_WORDS, Registration
from nasplug.values.options import build, is_plain, option_fields

PROGRAM = "python"
"""What stands in the place of a distribution."""


@attrs.define(eq=False)
class PluginsWithObjects(Plugins):
    """The plugins of this environment, and at most one object for each slot."""

    objects: Mapping[str, tuple[str, Any]] = attrs.field(factory=dict, kw_only=True)
    """By slot, the name of an object and the object: the instance of a part, or a method."""

    def resolve(self, registration: Registration) -> Any:
        """The registered object; of a part that was handed over, its class."""
        if registration.distribution != PROGRAM:
            return super().resolve(registration)
        _, target = self.objects[registration.slot]
        return target if registration.slot == "method" else type(target)


def add_objects(plugins: Plugins, objects: Mapping[str, tuple[str, Any]]) -> Plugins:
    """`plugins` and, for some slots, an object under a name that `program_name` made."""
    if not objects:
        return plugins
    known: dict[str, Any] = {field.name: getattr(plugins, field.name) for field in attrs.fields(Plugins)}
    own = [
        Registration(
            slot=slot,
            name=name.removeprefix(f"{PROGRAM}:"),
            target="",
            summary=f"A {SLOT_WORDS[slot]} of the program that runs.",
            distribution=PROGRAM,
            version="",
        )
        for slot, (name, _) in objects.items()
    ]
    known["registrations"] = [*plugins.registrations, *own]
    return PluginsWithObjects(**known, objects=objects)


def program_name(value: object) -> str:
    """The name under which an object takes part: that of its class."""
    return f"{PROGRAM}:{type(value).__module__}.{type(value).__qualname__}"


def is_program_object(name: str) -> bool:
    """Whether a recipe means an object that was handed over by this name."""
    return name == PROGRAM or name.startswith(f"{PROGRAM}:")


def registered_name(plugins: Plugins, slot: str, value: Any) -> str | None:
    """The name under which a plugin registers the class of `value`, if one does: no object is needed for it then."""
    for each in plugins.registrations:
        module, _, attribute = each.target.partition(":")
        # Whoever has an instance has imported its module; what nobody has imported cannot be its class.
        if each.slot == slot and module and getattr(sys.modules.get(module), attribute, None) is type(value):
            return each.name if len(plugins.find_all(slot, each.name)) == 1 else each.qualified
    return None


def build_part(plugins: Plugins, slot: str, name: str, options: Mapping[str, Any]) -> Any:
    """The part `name` of a slot with these options, and with those of the object that no recipe can hold.

    Raises InputError for a name that nobody registers and for options that do not fit.
    """
    registration = plugins.find(slot, name)
    cls = plugins.resolve(registration)
    if registration.distribution == PROGRAM and isinstance(plugins, PluginsWithObjects):
        options = opaque_options(plugins.objects[slot][1]) | dict(options)
    return build(cls, options, f"{slot} {name}")


def opaque_options(part: Any) -> dict[str, Any]:
    """The options of a part that a recipe cannot hold."""
    options = {name: getattr(part, name) for name in option_fields(type(part))}
    return {name: value for name, value in options.items() if not is_plain(value)}


def objects_for_workers(plugins: Plugins) -> dict[str, tuple[str, Any]] | None:
    """The objects, if another process can have them too: parts of importable classes whose options are all plain.

    Modules named __main__ are scripts, notebooks and prompts: to another process they are something else.
    """
    if not isinstance(plugins, PluginsWithObjects):
        return {}
    # Of a method, a recipe holds all that matters.
    parts = {slot: named for slot, named in plugins.objects.items() if slot != "method"}
    found = all(_importable(type(value)) and not opaque_options(value) for _, value in parts.values())
    return parts if found else None


def check_present(plugins: Plugins, names: Mapping[str, str], way: str) -> None:
    """Raises InputError if some of `names` (by slot) mean objects that are not there.

    `way` says what to do in Python, with {} where the objects are handed over.
    """
    missing = {
        slot: name
        for slot, name in names.items()
        if is_program_object(name) and not plugins.find_all(slot, _key(plugins, slot, name))
    }
    if not missing:
        return
    what = " and ".join(f"the {SLOT_WORDS[slot]} {name.removeprefix(f'{PROGRAM}:')}" for slot, name in missing.items())
    given = ", ".join(_example(slot, name) for slot, name in names.items() if is_program_object(name))
    raise InputError(
        f"{what[0].upper()}{what[1:]} came from a Python program, and no plugin registers what it handed over; hand it "
        f"over again in Python: {way.replace('{}', given)}."
    )


def resume_hint(plugins: Plugins, run: Path) -> str:
    """How a user goes on in Python with the run in this folder."""
    objects = plugins.objects if isinstance(plugins, PluginsWithObjects) else {}
    given = [_example(slot, name) for slot, (name, _) in objects.items() if slot != "method"]
    return f"nasplug.resume({', '.join([repr(str(run)), *given])})"


def _key(plugins: Plugins, slot: str, name: str) -> str:
    return split_dataset_name(plugins, name)[0] if slot == "dataset" else name


def _example(slot: str, name: str) -> str:
    return "data=..." if slot == "dataset" else f"{slot}={name.rpartition('.')[2]}(...)"


def _importable(cls: type) -> bool:
    module = sys.modules.get(cls.__module__)
    with suppress(ValueError):  # a module that was made by hand
        return (
            cls.__module__ != "__main__"
            and getattr(module, cls.__qualname__, None) is cls
            and importlib.util.find_spec(cls.__module__) is not None
        )
    return False
