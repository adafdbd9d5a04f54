"""The plugins of this environment, once loaded: looking up what they register, telling them what happens."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
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
from nasplug.plugins.register import SLOT_WORDS, Registration
from nasplug.plugins.slot_types import check_slot_type


@attrs.define(eq=False)
class Plugins:
    """Everything that the plugins of this environment register, and the observers among them."""

    all: list[Plugin]
    """All that were found, whatever has become of them."""
    registrations: list[Registration]
    manager: pluggy.PluginManager
    trace: bool = False
    """Whether calls of hooks are printed."""

    @property
    def broken(self) -> list[Plugin]:
        """Those that cannot be used."""
        return [one for one in self.all if one.status == "broken"]

    @property
    def conflicts(self) -> list[list[Registration]]:
        """The registrations of each name that several distributions claim."""
        named: dict[tuple[str, str], list[Registration]] = {}
        for one in self.registrations:
            named.setdefault((one.slot, one.name), []).append(one)
        return [several for several in named.values() if len(several) > 1]

    def find_all(self, slot: str, name: str) -> list[Registration]:
        """All that `name` or `distribution:name` can mean in `slot`."""
        distribution, _, short = name.rpartition(":")
        return [
            one
            for one in self.registrations
            if (one.slot, one.name) == (slot, short)
            and (not distribution or canonicalize_name(one.distribution) == canonicalize_name(distribution))
        ]

    def find(self, slot: str, name: str) -> Registration:
        """What `name` or `distribution:name` stands for in `slot`.

        Raises InputError if nobody registers it, or if two distributions do and none was chosen.
        """
        found = self.find_all(slot, name)
        if len(found) > 1:
            raise InputError(
                f"The {SLOT_WORDS[slot]} '{name}' is registered by {' and by '.join(one.source for one in found)}; "
                f"choose one as {' or '.join(repr(one.qualified) for one in found)}."
            )
        return found[0] if found else self._refuse(slot, name)

    def resolve(self, registration: Registration) -> Any:
        """The registered object, imported now: the attrs class of a part, or a method.

        Raises InputError, which names the distribution, if that fails or if it is something else.
        """
        module, _, attribute = registration.target.partition(":")
        what = f"The {SLOT_WORDS[registration.slot]} '{registration.name}' of {registration.source}"
        try:
            target = getattr(importlib.import_module(module), attribute)
        except (Exception, SystemExit) as error:
            # Anything may go wrong in somebody else's module; whoever asked for it must learn whose it is.
            raise InputError(f"{what} cannot be imported: {one_line(error)}.") from error
        check_slot_type(registration.slot, target, what)
        return target

    def notify(self, run: Path, event: Mapping[str, Any]) -> None:
        """Tells every observer of an event that is on disk.

        An observer that raises is named on stderr and switched off; the others and the run go on.
        """
        for observer in self.manager.hook.nasplug_event.get_hookimpls():
            given = {"run": run, "event": deepcopy(dict(event))}  # so that no observer changes what others see
            arguments = {name: given[name] for name in observer.argnames}
            try:
                call_hook(observer.plugin_name, "nasplug_event", observer.function, arguments, trace=self.trace)
            except (Exception, SystemExit) as error:
                self.manager.unregister(observer.plugin)
                note(f"Plugin {observer.plugin_name} is switched off for the rest of this run: {one_line(error)}.")

    def _refuse(self, slot: str, name: str) -> Registration:
        qualified = ":" in name
        known = {one.qualified if qualified else one.name for one in self.registrations if one.slot == slot}
        message = str(choose_from(SLOT_WORDS[slot], name, known))
        supplier = f"nasplug-{name}"
        if _is_extra(supplier) and supplier not in (one.distribution for one in self.all if one.status != "active"):
            message += f" It comes with {supplier}: pip install 'nasplug[methods]'."
        for status, words in (("broken", "Skipped for errors"), ("disabled", "Left out on request")):
            skipped = [f"{one.distribution} {one.version}" for one in self.all if one.status == status]
            message += f" {words}: {', '.join(skipped)}." if skipped else ""
        raise InputError(message)


def _is_extra(distribution: str) -> bool:
    """Whether `distribution` is one of the plugins that nasplug's extra `methods` installs."""
    try:
        requirements = [Requirement(line) for line in metadata.requires("nasplug") or ()]
    except metadata.PackageNotFoundError:  # a checkout that was put on the path without being installed
        return False
    return any(one.name == distribution and "methods" in str(one.marker) for one in requirements)
