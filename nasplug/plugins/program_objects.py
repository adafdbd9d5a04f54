"""Objects that a Python program passes to a run, used as if a plugin had registered them.

Recipes name such an object "python:MODULE.CLASS" after its class, so that a program without the object can say what is
missing. A run never uses the object itself: it builds a part from the class and the options of the object, so that no
state is left in it. Options that a recipe cannot hold, such as a module or a function, are taken from the object.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from nasplug.errors import InputError
from nasplug.plugins.located_names import split_location
from nasplug.plugins.lookup import Plugins
from nasplug.register import SLOT_WORDS, Registration
from nasplug.values.options import build, is_plain, option_fields

PROGRAM = "python"
"""The name used in place of that of a distribution."""


@attrs.define(eq=False)
class PluginsWithObjects(Plugins):
    """The plugins of this environment, and at most one object for each slot."""

    objects: Mapping[str, tuple[str, Any]] = attrs.field(factory=dict, kw_only=True)
    """By slot, the name of an object and the object: the instance of a part, or a method."""

    def __reduce__(self) -> tuple[Any, ...]:
        """The plugins as in `Plugins`; the objects are pickled as they are."""
        reload, arguments = super().__reduce__()
        return _add_again, (reload, arguments, dict(self.objects))

    def resolve(self, registration: Registration) -> Any:
        """As in `Plugins`; for an object of the program its class, or the object itself if it is a method."""
        if registration.distribution != PROGRAM:
            return super().resolve(registration)
        _, target = self.objects[registration.slot]
        return target if registration.slot == "method" else type(target)


def add_objects(plugins: Plugins, objects: Mapping[str, tuple[str, Any]]) -> Plugins:
    """`plugins` together with `objects`: by slot, a name from `program_name` and the object."""
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


def _add_again(
    reload: Callable[..., Plugins], arguments: tuple[Any, ...], objects: Mapping[str, tuple[str, Any]]
) -> Plugins:
    return add_objects(reload(*arguments), objects)


def program_name(value: object) -> str:
    """The name of an object in recipes, after its class."""
    return f"{PROGRAM}:{type(value).__module__}.{type(value).__qualname__}"


def is_program_object(name: str) -> bool:
    """Whether this name in a recipe stands for an object of a program."""
    return name == PROGRAM or name.startswith(f"{PROGRAM}:")


def registered_name(plugins: Plugins, slot: str, value: Any) -> str | None:
    """The name by which a plugin registers the class of `value`, which then needs no object; None if no plugin does."""
    for registration in plugins.registrations:
        module, _, attribute = registration.target.partition(":")
        # The class of an existing instance has been imported, so there is no need to import any module here.
        imported = getattr(sys.modules.get(module), attribute, None) if module else None
        if registration.slot == slot and imported is type(value):
            is_unique = len(plugins.find_all(slot, registration.name)) == 1
            return registration.name if is_unique else registration.qualified
    return None


def build_part(plugins: Plugins, slot: str, name: str, options: Mapping[str, Any]) -> Any:
    """Builds the part `name` of a slot with these options, and with those of its object that no recipe can hold.

    Raises InputError for a name that no plugin registers and for options that the part does not accept.
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
    """The objects to send to worker processes; None if one of them cannot be built there.

    A worker can build parts of importable classes whose options are all plain. The module __main__ is a script,
    notebook or prompt here, but another module in a worker.
    """
    if not isinstance(plugins, PluginsWithObjects):
        return {}
    # A method is not needed: the recipe holds everything that it defines.
    parts = {slot: named for slot, named in plugins.objects.items() if slot != "method"}
    buildable = all(_is_importable(type(value)) and not opaque_options(value) for _, value in parts.values())
    return parts if buildable else None


def check_present(plugins: Plugins, names: Mapping[str, str], hint: str) -> None:
    """Raises InputError if some of `names` (by slot) stand for objects that the program has not passed.

    `hint` is the call that would pass them, with {} in place of the arguments for the objects.
    """
    missing = {
        slot: name
        for slot, name in names.items()
        if is_program_object(name) and not plugins.find_all(slot, _key(plugins, slot, name))
    }
    if not missing:
        return
    what = " and ".join(f"the {SLOT_WORDS[slot]} {name.removeprefix(f'{PROGRAM}:')}" for slot, name in missing.items())
    arguments = ", ".join(_example(slot, name) for slot, name in names.items() if is_program_object(name))
    raise InputError(
        f"{what[0].upper()}{what[1:]} came from a Python program, and no plugin registers what it handed over; hand it "
        f"over again in Python: {hint.replace('{}', arguments)}."
    )


def resume_hint(plugins: Plugins, run: Path) -> str:
    """The Python call that continues the run in this folder."""
    objects = plugins.objects if isinstance(plugins, PluginsWithObjects) else {}
    arguments = [_example(slot, name) for slot, (name, _) in objects.items() if slot != "method"]
    return f"nasplug.resume({', '.join([repr(str(run)), *arguments])})"


def _key(plugins: Plugins, slot: str, name: str) -> str:
    return split_location(plugins, "dataset", name)[0] if slot == "dataset" else name


def _example(slot: str, name: str) -> str:
    return "data=..." if slot == "dataset" else f"{slot}={name.rpartition('.')[2]}(...)"


def _is_importable(cls: type) -> bool:
    module = sys.modules.get(cls.__module__)
    with suppress(ValueError):  # a module without a specification
        return (
            cls.__module__ != "__main__"
            and getattr(module, cls.__qualname__, None) is cls
            and importlib.util.find_spec(cls.__module__) is not None
        )
    return False
