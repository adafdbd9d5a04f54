"""The loaded plugins of this environment: looks up what they register, and notifies their observers of events."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs
import pluggy
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nasplug.errors import InputError, choose_from, one_line
from nasplug.plugins.hook_calls import call_hook, note
from nasplug.plugins.plugin import Plugin
from nasplug.plugins.settings import Settings
from nasplug.plugins.slot_types import check_slot_type
from nasplug.register import SLOT_WORDS, Registration

OBSERVER_HOOKS = frozenset({"nasplug_event", "nasplug_end"})
"""The hooks that make a plugin an observer."""


@attrs.define(eq=False)
class Plugins:
    """The plugins of this environment, everything that they register, and their observers."""

    all: list[Plugin]
    """Every plugin found: active, disabled or broken."""
    registrations: list[Registration]
    manager: pluggy.PluginManager
    trace: bool = False
    """Whether calls of hooks are traced on stderr."""
    without: tuple[str, ...] = ()
    """What was asked to be left out: distributions and entry points."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Modules and hooks cannot be pickled: where these plugins are unpickled, the same ones are loaded again."""
        from nasplug.plugins.load import reload_plugins  # here, because it imports this module

        return reload_plugins, (self.settings,)

    @property
    def settings(self) -> Settings:
        """The settings with which another process, in any directory, loads the same plugins."""
        paths = tuple(dict.fromkeys(plugin.path for plugin in self.all if plugin.path is not None))
        return Settings(paths=paths, without=self.without, trace=self.trace)

    @property
    def broken(self) -> list[Plugin]:
        """The plugins that cannot be used."""
        return [plugin for plugin in self.all if plugin.status == "broken"]

    @property
    def conflicts(self) -> list[list[Registration]]:
        """For each name that several distributions register in one slot, these registrations."""
        by_name: dict[tuple[str, str], list[Registration]] = {}
        for registration in self.registrations:
            by_name.setdefault((registration.slot, registration.name), []).append(registration)
        return [registrations for registrations in by_name.values() if len(registrations) > 1]

    def find_all(self, slot: str, name: str) -> list[Registration]:
        """All registrations that `name` or `distribution:name` matches in `slot`."""
        distribution, _, short = name.rpartition(":")
        return [
            registration
            for registration in self.registrations
            if (registration.slot, registration.name) == (slot, short)
            and (not distribution or canonicalize_name(registration.distribution) == canonicalize_name(distribution))
        ]

    def find(self, slot: str, name: str) -> Registration:
        """The registration that `name` or `distribution:name` stands for in `slot`.

        Raises InputError if no plugin registers it, or if several do and `name` does not say which.
        """
        matches = self.find_all(slot, name)
        if len(matches) > 1:
            sources = " and by ".join(match.source for match in matches)
            raise InputError(
                f"The {SLOT_WORDS[slot]} '{name}' is registered by {sources}; "
                f"choose one as {' or '.join(repr(match.qualified) for match in matches)}."
            )
        return matches[0] if matches else self._refuse(slot, name)

    def resolve(self, registration: Registration) -> Any:
        """Imports and returns the registered object: the attrs class of a part, or a method.

        Raises InputError, which names the distribution, if the import fails or the object is of another type.
        """
        module, _, attribute = registration.target.partition(":")
        what = f"The {SLOT_WORDS[registration.slot]} '{registration.name}' of {registration.source}"
        try:
            target = getattr(importlib.import_module(module), attribute)
        except (Exception, SystemExit) as error:
            # A module of a plugin can raise anything; the message must name the plugin that it belongs to.
            raise InputError(f"{what} cannot be imported: {one_line(error)}.") from error
        check_slot_type(registration.slot, target, what)
        return target

    def notify(self, run: Path, event: Mapping[str, Any]) -> None:
        """Calls every observer with an event that has been written to disk.

        An observer that raises is named on stderr and switched off; the others and the run continue.
        """
        self._call_observers("nasplug_event", {"run": run, "event": event})

    def notify_end(self, run: Path) -> None:
        """Tells every observer that the run is left; one that raises is named on stderr and switched off."""
        self._call_observers("nasplug_end", {"run": run})

    def silence_observers(self) -> None:
        """Tells no observer of anything from now on: the process that carries out the run does."""
        for plugin in self.manager.get_plugins():
            self.manager.unregister(plugin)

    def refuse_unknown_observers(self, names: Iterable[str]) -> None:
        """Raises InputError if one of these names, of an entry point or a distribution, is no active observer."""
        observers = [plugin for plugin in self.all if set(plugin.hooks) & OBSERVER_HOOKS]
        known = {canonicalize_name(name) for plugin in observers for name in (plugin.name, plugin.distribution)}
        for name in names:
            if canonicalize_name(name) not in known:
                refusal = choose_from("observer", name, {plugin.name for plugin in observers})
                raise InputError(f"{refusal} Install the package that has it: pip install nasplug-{name}")

    def _call_observers(self, hook: str, values: Mapping[str, Any]) -> None:
        for observer in getattr(self.manager.hook, hook).get_hookimpls():
            # Copies, so that no observer changes what others see.
            arguments = {name: deepcopy(values[name]) for name in observer.argnames}
            try:
                call_hook(observer.plugin_name, hook, observer.function, arguments, trace=self.trace)
            except (Exception, SystemExit) as error:
                self.manager.unregister(observer.plugin)
                note(f"Plugin {observer.plugin_name} is switched off for the rest of this run: {one_line(error)}.")

    def _refuse(self, slot: str, name: str) -> Registration:
        qualified = ":" in name
        registrations = [registration for registration in self.registrations if registration.slot == slot]
        known = {registration.qualified if qualified else registration.name for registration in registrations}
        message = str(choose_from(SLOT_WORDS[slot], name, known))
        supplier = f"nasplug-{name}"
        unusable = [plugin for plugin in self.all if plugin.status != "active"]
        if _is_extra(supplier) and supplier not in (plugin.distribution for plugin in unusable):
            message += f" It comes with {supplier}: pip install 'nasplug[methods]'."
        for status, words in (("broken", "Skipped for errors"), ("disabled", "Left out on request")):
            skipped = [f"{plugin.distribution} {plugin.version}" for plugin in unusable if plugin.status == status]
            message += f" {words}: {', '.join(skipped)}." if skipped else ""
        raise InputError(message)


def _is_extra(distribution: str) -> bool:
    """Whether the extra `methods` of nasplug installs `distribution`."""
    try:
        requirements = [Requirement(line) for line in metadata.requires("nasplug") or ()]
    except metadata.PackageNotFoundError:  # a checkout on the import path that is not installed
        return False
    return any(line.name == distribution and "methods" in str(line.marker) for line in requirements)
