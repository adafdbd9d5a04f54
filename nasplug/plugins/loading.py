"""Loads plugins, each on its own, so that a broken one neither stops the program nor goes unnoticed.

Bare pluggy stops at the first import error, skips a second entry point of the same name in silence, accepts misspelt
hooks and never fills a parameter that has a default. Here, each of these is a reason to skip the one plugin and say so.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout

import pluggy
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from nasplug import hookspecs
from nasplug.errors import InputError, NasplugError, one_line
from nasplug.plugins.attribution import place_of
from nasplug.plugins.hook_calls import call, note
from nasplug.plugins.installed import Plugins
from nasplug.plugins.origins import origins
from nasplug.plugins.plugin import HOST, Origin, Plugin, Status, misfit
from nasplug.plugins.register import Register, Registration
from nasplug.plugins.settings import STRICT, WITHOUT, Settings


class _Broken(Exception):
    """Why a plugin cannot be used, and what would mend that: two sentences."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason, remedy)
        self.reason, self.remedy = reason, remedy


def load_plugins(settings: Settings | None = None, *, quiet: bool = False) -> Plugins:
    """The plugins of this environment; each call reads it afresh. Without `settings`, those of the environment hold.

    A broken plugin is skipped and reported on stderr, unless `quiet` (for worker processes, whose parent has said it).
    Raises InputError instead if the settings are strict, and for a path in them that names no plugin.
    """
    settings = settings or Settings.of_environment()
    plugins = Plugins(every=[], registrations=[], manager=_manager(), trace=settings.trace)
    found = origins(settings.paths)
    wanted = [one for one in found if not any(one.answers_to(word) for word in settings.without)]
    for origin in found:
        if origin not in wanted:
            plugins.every.append(_plugin(origin, "disabled", "It was left out on request."))
            continue
        try:
            _refuse_duplicate(origin, wanted)
            active = _load(origin, plugins)
        except _Broken as error:
            broken = _plugin(origin, "broken", error.reason, error.remedy)
            if settings.strict:
                raise InputError(f"{broken} ({STRICT} is set.)") from error
            plugins.every.append(broken)
            if not quiet:
                note(str(broken))
        else:
            plugins.every.append(active)
            plugins.registrations += active.registers
    if not quiet:
        for word in settings.without:
            if not any(origin.answers_to(word) for origin in found):
                note(f"No plugin is called '{word}', so there is nothing to leave out ({WITHOUT} or --without).")
    return plugins


def _plugin(
    origin: Origin,
    status: Status,
    reason: str = "",
    remedy: str = "",
    *,
    hooks: Iterable[str] = (),
    registers: Iterable[Registration] = (),
    resumes: str = "",
) -> Plugin:
    return Plugin(
        name=origin.name,
        distribution=origin.distribution,
        version=origin.version,
        supports=origin.range,
        status=status,
        reason=reason,
        remedy=remedy,
        hooks=tuple(hooks),
        registers=tuple(registers),
        path=origin.path,
        resumes=resumes,
    )


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    return manager


def _refuse_duplicate(origin: Origin, found: Sequence[Origin]) -> None:
    """Refuses an entry point whose name another plugin has too. The core's own stands, whoever else claims its name."""
    others = [one for one in found if one.name == origin.name and one != origin]
    files = [str(one.path) for one in (origin, *others) if one.path is not None and one.path.is_file()]
    if len(files) > 1:
        raise _Broken(f"{' and '.join(files)} are files of one name.", "Name one of them only, or rename the other.")
    if others and origin.distribution != HOST:
        raise _Broken(
            f"{' and '.join(map(str, others))} has an entry point of the same name.",
            f"Uninstall one of them, or leave one out: "
            f"{' or '.join(f'--without {one.distribution}' for one in (origin, *others))}.",
        )


def _load(origin: Origin, plugins: Plugins) -> Plugin:
    """Checks one plugin by itself before the others get to see it."""
    if origin.flaw:
        raise _Broken(origin.flaw, "Install it again, or remove what is left of it.")
    if (outside := misfit(origin)) is not None:
        raise _Broken(*outside)
    try:
        with redirect_stdout(sys.stderr):  # what a plugin prints must not stand in anybody's output
            module = origin.load()
        if plugins.manager.is_registered(module):
            raise InputError(f"'{origin.value}' is loaded by another entry point already; one of them is enough")
        alone = _manager()
        alone.register(module)
        hooks = list(_hooks(alone, module, origin))
        resumes = _resumed_versions(module, origin)
        register = Register(origin.distribution, origin.version)
        # What the same distribution registered by another entry point counts: a name can be taken once.
        before = [one for one in plugins.registrations if one.distribution == origin.distribution]
        register.registrations[:] = before
        for implementation in alone.hook.nasplug_register.get_hookimpls():
            given = dict.fromkeys(implementation.argnames, register)
            with redirect_stdout(sys.stderr):
                call(origin.label, "nasplug_register", implementation.function, given, trace=plugins.trace)
        plugins.manager.register(module, name=origin.label)
    except (Exception, SystemExit) as error:
        reason = str(error).rstrip(".") if isinstance(error, NasplugError) else one_line(error) + place_of(error)
        raise _Broken(f"{reason[0].upper()}{reason[1:]}.", _remedy(origin, error)) from error
    return _plugin(origin, "active", hooks=hooks, registers=register.registrations[len(before) :], resumes=resumes)


def _resumed_versions(module: object, origin: Origin) -> str:
    """The variable `RESUMES` of a module with hooks, empty without one; InputError if it is no range of versions."""
    resumes = getattr(module, "RESUMES", "")
    try:
        if not isinstance(resumes, str):
            raise InvalidSpecifier
        SpecifierSet(resumes)
    except InvalidSpecifier as error:
        raise InputError(
            f"RESUMES in '{origin.value}' must be a range of versions such as '>=0.1,<0.3', but it is {resumes!r:.40}"
        ) from error
    return resumes


def _remedy(origin: Origin, error: BaseException) -> str:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    ways = [
        f"install '{missing.partition('.')[0]}' if it is a package that this plugin needs" if missing else "",
        f"upgrade {origin.distribution} or tell its author" if origin.path is None else f"mend '{origin.path}'",
        f"leave it out: --without {origin.distribution}",
    ]
    words = "; or ".join(filter(None, ways))
    return f"{words[0].upper()}{words[1:]}."


def _hooks(alone: pluggy.PluginManager, module: object, origin: Origin) -> Iterator[str]:
    """The names of the hooks that a module implements; InputError for hooks that nobody would call."""
    known = ", ".join(sorted(name for name in vars(hookspecs) if name.startswith("nasplug_")))
    try:
        alone.check_pending()
    except pluggy.PluginValidationError as error:
        raise InputError(f"{one_line(error)}; the hooks are {known}") from error
    callers = alone.get_hookcallers(module) or []
    if not callers:
        raise InputError(
            f"'{origin.value}' has no function that is marked with nasplug.hookspecs.hookimpl; the hooks are {known}"
        )
    for hook in callers:
        for implementation in hook.get_hookimpls():
            if implementation.kwargnames:
                raise InputError(
                    f"the parameter '{implementation.kwargnames[0]}' of its {hook.name} has a default value, "
                    "which hooks do not support"
                )
            function = implementation.function
            wraps = implementation.hookwrapper or implementation.wrapper
            if wraps or inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
                raise InputError(f"its {hook.name} is no plain function, and a hook that waits or yields is never run")
        yield hook.name
