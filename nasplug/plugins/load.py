"""Loads plugins in isolation, so that a broken one neither stops the program nor goes unnoticed.

Pluggy alone stops at the first import error, silently skips a second entry point of the same name, accepts misspelt
hooks and never passes an argument for a parameter with a default. Here each of these makes nasplug skip and report the
one plugin concerned.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout

import pluggy
from packaging.specifiers import InvalidSpecifier, SpecifierSet

import nasplug.hookspecs as hookspecs
from nasplug.errors import InputError, NasplugError, one_line, quote
from nasplug.plugins.attribution import error_location
from nasplug.plugins.discovery import find_plugins
from nasplug.plugins.hook_calls import call_hook, note
from nasplug.plugins.lookup import Plugins
from nasplug.plugins.plugin import HOST, Origin, Plugin, Status, explain_incompatibility
from nasplug.plugins.settings import STRICT, WITHOUT, Settings
from nasplug.register import Register, Registration


class _BrokenPlugin(Exception):
    """Why a plugin cannot be used, and what would fix that: two sentences."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason, remedy)
        self.reason, self.remedy = reason, remedy


def load_plugins(settings: Settings | None = None, *, quiet: bool = False) -> Plugins:
    """Finds and loads the plugins of this environment; every call does so again.

    Without `settings`, those of the environment variables apply. A broken plugin is skipped and reported on stderr;
    with `quiet` (for worker processes, whose parent has reported it) nothing is printed. Raises InputError instead if
    the settings are strict, and for a path in the settings that names no plugin.
    """
    settings = settings or Settings.from_environment()
    plugins = Plugins(all=[], registrations=[], manager=_manager(), trace=settings.trace, without=settings.without)
    origins = find_plugins(settings.paths)
    enabled = [origin for origin in origins if not any(origin.matches(word) for word in settings.without)]
    for origin in origins:
        if origin not in enabled:
            plugins.all.append(_plugin(origin, "disabled", "It was left out on request."))
            continue
        try:
            _refuse_duplicate(origin, enabled)
            active = _load(origin, plugins)
        except _BrokenPlugin as error:
            broken = _plugin(origin, "broken", error.reason, error.remedy)
            if settings.strict:
                raise InputError(f"{broken} ({STRICT} is set.)") from error
            plugins.all.append(broken)
            if not quiet:
                note(str(broken))
        else:
            plugins.all.append(active)
            plugins.registrations += active.registers
    if not quiet:
        for word in settings.without:
            if not any(origin.matches(word) for origin in origins):
                note(f"No plugin is called {quote(word)}, so there is nothing to leave out ({WITHOUT} or --without).")
    return plugins


def reload_plugins(settings: Settings) -> Plugins:
    """The plugins of a pickled `Plugins`, in the process that unpickles it; broken ones have been reported before."""
    return load_plugins(settings, quiet=True)


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


def _refuse_duplicate(origin: Origin, origins: Sequence[Origin]) -> None:
    """Refuses an entry point whose name another plugin has too; the core's own entry point is never refused."""
    others = [other for other in origins if other.name == origin.name and other != origin]
    paths = [claimant.path for claimant in (origin, *others)]
    files = [str(path) for path in paths if path is not None and path.is_file()]
    if len(files) > 1:
        raise _BrokenPlugin(
            f"{' and '.join(files)} are files of the same name.", "Name one of them only, or rename the other."
        )
    if others and origin.distribution != HOST:
        raise _BrokenPlugin(
            f"{' and '.join(map(str, others))} has an entry point of the same name.",
            f"Uninstall one of them, or leave one out: "
            f"{' or '.join(f'--without {claimant.distribution}' for claimant in (origin, *others))}.",
        )


def _load(origin: Origin, plugins: Plugins) -> Plugin:
    """Loads and checks one plugin in isolation, then adds its hooks to those of the others."""
    if origin.flaw:
        raise _BrokenPlugin(origin.flaw, "Install it again, or remove what is left of it.")
    if (incompatible := explain_incompatibility(origin)) is not None:
        raise _BrokenPlugin(*incompatible)
    try:
        with redirect_stdout(sys.stderr):  # what a plugin prints must not mix with the output of a command
            module = origin.load()
        if plugins.manager.is_registered(module):
            raise InputError(f"'{origin.value}' is loaded by another entry point already; one of them is enough")
        isolated = _manager()
        isolated.register(module)
        hooks = list(_check_hooks(isolated, module, origin))
        resumes = _resumed_versions(module, origin)
        register = Register(origin.distribution, origin.version)
        # Names that the same distribution has registered by another entry point are taken.
        before = [other for other in plugins.registrations if other.distribution == origin.distribution]
        register.registrations[:] = before
        for implementation in isolated.hook.nasplug_register.get_hookimpls():
            arguments = dict.fromkeys(implementation.argnames, register)
            with redirect_stdout(sys.stderr):
                call_hook(origin.label, "nasplug_register", implementation.function, arguments, trace=plugins.trace)
        plugins.manager.register(module, name=origin.label)
    except (Exception, SystemExit) as error:
        reason = str(error).rstrip(".") if isinstance(error, NasplugError) else one_line(error) + error_location(error)
        raise _BrokenPlugin(f"{reason[0].upper()}{reason[1:]}.", _remedy(origin, error)) from error
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
            f"RESUMES in '{origin.value}' must be a range of versions such as '>=0.1,<0.3', but it is {quote(resumes)}"
        ) from error
    return resumes


def _remedy(origin: Origin, error: BaseException) -> str:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    remedies = [
        f"install '{missing.partition('.')[0]}' if it is a package that this plugin needs" if missing else "",
        f"upgrade {origin.distribution} or tell its author" if origin.path is None else f"fix '{origin.path}'",
        f"leave it out: --without {origin.distribution}",
    ]
    words = "; or ".join(filter(None, remedies))
    return f"{words[0].upper()}{words[1:]}."


def _check_hooks(isolated: pluggy.PluginManager, module: object, origin: Origin) -> Iterator[str]:
    """The names of the hooks that a module implements. Raises InputError for hooks that would never be called."""
    known = ", ".join(sorted(name for name in vars(hookspecs) if name.startswith("nasplug_")))
    try:
        isolated.check_pending()
    except pluggy.PluginValidationError as error:
        raise InputError(f"{one_line(error)}; the hooks are {known}") from error
    callers = isolated.get_hookcallers(module) or []
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
