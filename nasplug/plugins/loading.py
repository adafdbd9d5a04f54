"""Loads plugins, each on its own, so that a broken one neither stops the program nor goes unnoticed.

Bare pluggy stops at the first import error, skips a second entry point of the same name in silence, accepts misspelt
hooks and never fills a parameter that has a default. Here, each of these is a reason to skip the one plugin and say so.
"""

from __future__ import annotations

import os
from collections import Counter
from importlib.metadata import EntryPoint, entry_points

import pluggy

from nasplug import hookspecs
from nasplug.errors import InputError, NasplugError
from nasplug.plugins.installed import BrokenPlugin, Plugins, note, one_line
from nasplug.plugins.register import Register

STRICT = "NASPLUG_STRICT"
"""The environment variable that turns a broken plugin into an error, for authors and for tests."""


def load_plugins(*, quiet: bool = False) -> Plugins:
    """The plugins of this environment; each call reads it afresh.

    A broken plugin is skipped and reported on stderr, unless `quiet` (for worker processes, whose parent has said it).
    Raises InputError instead if NASPLUG_STRICT=1 is set.
    """
    plugins = Plugins(registrations=[], broken=[], manager=_manager())
    found = _entry_points()
    times = Counter(each.name for each in found)
    registers: dict[str, Register] = {}
    for each in found:
        distribution, version = _source(each)
        register = registers.setdefault(distribution, Register(distribution, version))
        before = list(register.registrations)
        try:
            # The core's own entry point stands, whoever else claims its name.
            if times[each.name] > 1 and distribution != hookspecs.GROUP:
                others = [" ".join(_source(other)) for other in found if other.name == each.name and other != each]
                raise InputError(f"{' and '.join(others)} has an entry point of the same name")
            _load(each, register, plugins.manager)
        except (Exception, SystemExit) as error:
            register.registrations[:] = before
            reason = str(error).rstrip(".") if isinstance(error, NasplugError) else one_line(error)
            broken = BrokenPlugin(each.name, distribution, version, f"{reason}.")
            if os.environ.get(STRICT, "0") not in ("", "0"):
                raise InputError(f"{broken} ({STRICT} is set.)") from error
            plugins.broken.append(broken)
            if not quiet:
                note(str(broken))
    plugins.registrations.extend(one for register in registers.values() for one in register.registrations)
    return plugins


def plugin_versions() -> dict[str, str]:
    """The version of every distribution with a plugin, read from metadata alone: nothing is imported."""
    return dict(sorted(_source(each) for each in _entry_points()))


def _entry_points() -> list[EntryPoint]:
    return sorted(entry_points(group=hookspecs.GROUP), key=lambda each: (_source(each), each.name))


def _source(entry_point: EntryPoint) -> tuple[str, str]:
    distribution = entry_point.dist
    if distribution is None:  # only entry points made by hand have none
        raise InputError(f"The entry point '{entry_point.name}' belongs to no distribution.")
    return distribution.name, distribution.version


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    return manager


def _load(entry_point: EntryPoint, register: Register, manager: pluggy.PluginManager) -> None:
    """Checks one plugin by itself before the others get to see it."""
    module = entry_point.load()
    alone = _manager()
    alone.register(module)
    try:
        alone.check_pending()
    except pluggy.PluginValidationError as error:
        hooks = ", ".join(sorted(name for name in vars(hookspecs) if name.startswith("nasplug_")))
        raise InputError(f"{one_line(error)}; the hooks are {hooks}") from error
    callers = alone.get_hookcallers(module) or []
    if not callers:
        raise InputError(f"'{entry_point.value}' has no function that is marked with nasplug.hookspecs.hookimpl")
    for hook in callers:
        for implementation in hook.get_hookimpls():
            if implementation.kwargnames:
                raise InputError(
                    f"the parameter '{implementation.kwargnames[0]}' of its {hook.name} has a default value, "
                    "which hooks do not support"
                )
    alone.hook.nasplug_register(register=register)
    manager.register(module, name=f"{entry_point.name} of {register.distribution} {register.version}")
