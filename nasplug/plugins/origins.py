"""Finds plugins without loading them: entry points of what is installed, and paths that a user names."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from packaging.utils import canonicalize_name

from nasplug.errors import InputError
from nasplug.hookspecs import GROUP
from nasplug.plugins.plugin import Origin, supported

DIGEST = "__nasplug_digest__"
"""Attribute of a module that was loaded from a file: the digest of that file."""


def origins(paths: Sequence[Path]) -> list[Origin]:
    """Every plugin that can be found, in a fixed order: the installed ones, then those of `paths`.

    The folder of a package takes the place of the same distribution if it is installed too. Raises InputError for a
    path that is neither a Python file nor such a folder.
    """
    named = [origin for path in paths for origin in _of_path(path)]
    beside = {canonicalize_name(origin.distribution) for origin in named}
    installed = [one for one in _installed() if canonicalize_name(one.distribution) not in beside]
    return installed + list(dict.fromkeys(named))


def plugin_versions() -> dict[str, str]:
    """The version of every installed distribution with a plugin, read from metadata alone: nothing is imported."""
    return {origin.distribution: origin.version for origin in _installed()}


def _installed() -> list[Origin]:
    found = sorted(_with_distribution(entry_points(group=GROUP)), key=lambda each: (each[1].name, each[0].name))
    return [
        Origin(
            name=entry_point.name,
            distribution=distribution.name,
            version=distribution.version,
            supports=supported(distribution.requires),
            value=entry_point.value,
            load=entry_point.load,
        )
        for entry_point, distribution in found
    ]


def _with_distribution(found: Iterable[EntryPoint]) -> Iterator[tuple[EntryPoint, Distribution]]:
    for entry_point in found:
        if entry_point.dist is None:  # only entry points made by hand have none
            raise InputError(f"The entry point '{entry_point.name}' belongs to no distribution.")
        yield entry_point, entry_point.dist


def _of_path(path: Path) -> list[Origin]:
    path = path.resolve()
    if path.is_dir():
        return _of_folder(path)
    if not path.is_file():
        raise InputError(f"There is no plugin at '{path}'; name a Python file or the folder of a package.")
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise InputError(f"'{path}' is no plugin; its name must be that of a Python module, such as my_method.py.")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:12]
    load = partial(_load_file, path, content, digest)
    return [Origin(path.stem, path.name, digest, supports=None, value=str(path), load=load, path=path)]


def _load_file(path: Path, content: bytes, digest: str) -> ModuleType:
    """Runs the content of a file as a module under its name, under which its parts are imported later."""
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, DIGEST, None) == digest:
        return known
    if not hasattr(known, DIGEST) and importlib.util.find_spec(path.stem) is not None:
        raise InputError(f"there is another module '{path.stem}'; give the file a name that no module has")
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    sys.modules[path.stem] = module
    try:
        # Not by an import, which may take the bytecode of an earlier content that was as long and as old.
        exec(compile(content, path, "exec"), module.__dict__)  # noqa: S102 - whoever names a plugin wants it run
    except BaseException:
        del sys.modules[path.stem]
        raise
    setattr(module, DIGEST, digest)
    return module


def _of_folder(folder: Path) -> list[Origin]:
    project = _project(folder)
    entries = project.get("entry-points", {}).get(GROUP, {})
    if not entries or not isinstance(project.get("name"), str):
        raise InputError(
            f"'{folder / 'pyproject.toml'}' describes no plugin: it needs a name and a section "
            f'[project.entry-points.{GROUP}] with a line such as mine = "nasplug_mine.hooks".'
        )
    place = str(folder / "src" if (folder / "src").is_dir() else folder)
    return [
        Origin(
            name=name,
            distribution=project["name"],
            version=str(project.get("version", "unversioned")),
            supports=supported(project.get("dependencies")),
            value=value,
            load=partial(_load_from, place, value),
            path=folder,
        )
        for name, value in sorted(entries.items())
    ]


def _load_from(place: str, value: str) -> ModuleType:
    if place not in sys.path:
        sys.path.insert(0, place)
        importlib.invalidate_caches()
    return importlib.import_module(value)


def _project(folder: Path) -> dict[str, Any]:
    path = folder / "pyproject.toml"
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
    except OSError as error:
        raise InputError(
            f"'{folder}' is no package: its pyproject.toml cannot be read ({error.strerror}). Name a Python file or "
            f"the folder of a package."
        ) from error
    except ValueError as error:
        raise InputError(f"'{path}' is not TOML: {error}.") from error
    return project if isinstance(project, dict) else {}
