"""Finds plugins without loading them: entry points of installed distributions, and paths that a user names."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from email.message import Message
from functools import partial
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from packaging.utils import canonicalize_name

from nasplug.errors import InputError, quote
from nasplug.formats.regular_file import find_kind, read_file
from nasplug.formats.toml_text import read_toml
from nasplug.hookspecs import GROUP
from nasplug.plugins.plugin import Origin, supported_range

DIGEST = "__nasplug_digest__"
"""Attribute of a module loaded from a file: the digest of the content of that file."""


def find_plugins(paths: Sequence[Path]) -> list[Origin]:
    """Finds all plugins, in a fixed order: the installed ones, then those of `paths`.

    The folder of a package replaces the same distribution if it is installed, too. Raises InputError for a path that is
    neither a Python file nor the folder of a package with a plugin.
    """
    named = [origin for path in paths for origin in _read_path(path)]
    replaced = {canonicalize_name(origin.distribution) for origin in named}
    installed = [origin for origin in _find_installed() if canonicalize_name(origin.distribution) not in replaced]
    return installed + list(dict.fromkeys(named))


def plugin_versions() -> dict[str, str]:
    """The version of every installed distribution with a plugin, read from metadata without importing anything."""
    return {origin.distribution: origin.version for origin in _find_installed()}


def _find_installed() -> list[Origin]:
    origins = (_read_entry_point(*pair) for pair in _pair_with_distributions(entry_points(group=GROUP)))
    return sorted(origins, key=lambda origin: (origin.distribution, origin.name))


def _read_entry_point(entry_point: EntryPoint, distribution: Distribution) -> Origin:
    # An interrupted installation can leave metadata without name and version.
    fields = cast("Message", distribution.metadata)
    name, version = fields.get("Name", ""), fields.get("Version", "")
    place = distribution.locate_file("")
    flaw = f"Its metadata in '{place}' have no name or no version." if not name or not version else ""
    return Origin(
        name=entry_point.name,
        distribution=name or "unnamed",
        version=version or "unversioned",
        supports=supported_range(distribution.requires),
        value=entry_point.value,
        load=entry_point.load,
        flaw=flaw,
    )


def _pair_with_distributions(points: Iterable[EntryPoint]) -> Iterator[tuple[EntryPoint, Distribution]]:
    for entry_point in points:
        if entry_point.dist is None:  # only entry points that were not read from metadata have none
            raise InputError(f"The entry point '{entry_point.name}' belongs to no distribution.")
        yield entry_point, entry_point.dist


def _read_path(path: Path) -> list[Origin]:
    kind = find_kind(path)
    if kind is None:
        raise InputError(f"There is no plugin at {quote(path)}; name a Python file or the folder of a package.")
    path = path.resolve()
    if kind == "folder":
        return _read_folder(path)
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise InputError(f"{quote(path)} is no plugin; its name must be that of a Python module, such as my_method.py.")
    content = read_file(path, "plugin")
    digest = hashlib.sha256(content).hexdigest()[:12]
    load = partial(_load_file, path, content, digest)
    return [Origin(path.stem, path.name, digest, supports=None, value=str(path), load=load, path=path)]


def _load_file(path: Path, content: bytes, digest: str) -> ModuleType:
    """Executes the content of a file as the module of its name, by which its parts are imported later."""
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, DIGEST, None) == digest:
        return known
    if not hasattr(known, DIGEST) and _is_taken(path):
        raise InputError(f"there is another module '{path.stem}'; give the file a name that no module has")
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    sys.modules[path.stem] = module
    try:
        # Not imported, since cached bytecode of an earlier content with the same length and time might be used.
        exec(compile(content, path, "exec"), module.__dict__)  # noqa: S102 - the user has named this file to be run
    except BaseException:
        del sys.modules[path.stem]
        raise
    setattr(module, DIGEST, digest)
    return module


def _is_taken(path: Path) -> bool:
    """Whether a module other than this file has its name."""
    try:
        spec = importlib.util.find_spec(path.stem)
    except ValueError:  # a module without a specification, such as __main__
        return True
    # The folder of the file is on the import path if a script in the same folder is running.
    return spec is not None and (spec.origin is None or Path(spec.origin).resolve() != path)


def _read_folder(folder: Path) -> list[Origin]:
    project = _read_project(folder)
    groups, dependencies = project.get("entry-points"), project.get("dependencies", [])
    entries = groups.get(GROUP) if isinstance(groups, dict) else None
    named = isinstance(entries, dict) and entries and all(isinstance(value, str) for value in entries.values())
    listed = isinstance(dependencies, list) and all(isinstance(line, str) for line in dependencies)
    name = project.get("name")
    if not (isinstance(entries, dict) and named and listed and isinstance(name, str) and name):
        raise InputError(
            f"{quote(folder / 'pyproject.toml')} describes no plugin: it needs a name, a list of dependencies "
            f'and a section [project.entry-points.{GROUP}] with a line such as mine = "nasplug_mine.hooks".'
        )
    place = str(folder / "src" if (folder / "src").is_dir() else folder)
    return [
        Origin(
            name=entry,
            distribution=name,
            version=str(project.get("version", "unversioned")),
            supports=supported_range(dependencies),
            value=value,
            load=partial(_import_from, place, EntryPoint(entry, value, GROUP)),
            path=folder,
        )
        for entry, value in sorted(entries.items())
    ]


def _import_from(place: str, entry_point: EntryPoint) -> Any:
    if place not in sys.path:
        sys.path.insert(0, place)
        importlib.invalidate_caches()
    return entry_point.load()


def _read_project(folder: Path) -> dict[str, Any]:
    path = folder / "pyproject.toml"
    if find_kind(path) is None:
        raise InputError(
            f"{quote(folder)} is no package: it has no pyproject.toml. Name a Python file or the folder of a package."
        )
    project = read_toml(path, "description of a package").get("project", {})
    return project if isinstance(project, dict) else {}
