"""The files of a plugin package, as texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from importlib import metadata

from packaging.utils import canonicalize_name
from packaging.version import Version

from nasplug.errors import InputError
from nasplug.plugins import SLOT_WORDS, Plugins
from nasplug.scaffold.filling import fill, template
from nasplug.scaffold.kinds import Kind
from nasplug.scaffold.licences import LICENCES
from nasplug.scaffold.names import Names

SHARED = {
    "pyproject.toml": "package/pyproject.toml",
    "CHANGELOG.md": "package/CHANGELOG.md",
    ".gitignore": "package/gitignore",
    ".github/workflows/ci.yml": "package/ci.yml",
    ".github/workflows/publish.yml": "package/publish.yml",
    "tests/test_contract.py": "package/test_contract.py",
}
"""Where the templates go that all kinds have in common."""


def package_files(names: Names, kind: Kind, licence: str, author: str = "") -> dict[str, str]:
    """Every file of a package by its path in the folder. InputError for an author that is no line of text.

    An author of blanks alone is none.
    """
    author = author.strip(" ")
    if not author.isprintable():
        raise InputError(f"The author must be a name on one line, but is {author!r}.")
    places = {
        **SHARED,
        **{f"src/{names.package}/{name}.py": text for name, text in kind.modules.items()},
        f"src/{names.package}/__init__.py": "package/init.py",
        **{f"tests/{name}.py": text for name, text in kind.tests.items()},
        "LICENSE": f"licences/{licence}",
    }
    values = _values(names, kind, licence, author)
    files = {path: fill(template(text), values) for path, text in places.items()}
    files[f"src/{names.package}/py.typed"] = ""
    about = fill(template(kind.about), values).strip()
    readme = {"about": about, "files": _described(files), "usage": _usage(names, kind)}
    files["README.md"] = fill(template("package/README.md"), {**values, **readme})
    return dict(sorted(files.items()))


def refuse_taken(names: Names, kind: Kind, plugins: Plugins) -> None:
    """Raises InputError if an installed plugin has one of these names already."""
    for slot in kind.slots:
        for one in plugins.find_all(slot, names.short):
            raise InputError(
                f"The {SLOT_WORDS[slot]} '{names.short}' is registered by {one.source} already; choose another name."
            )
    for plugin in plugins.all:
        same = canonicalize_name(names.distribution) == canonicalize_name(plugin.distribution)
        if same or names.short == plugin.name:
            raise InputError(
                f"There is a plugin '{plugin.name}' of {plugin.distribution} {plugin.version} already; choose another "
                f"name."
            )


def supported_versions() -> str:
    """The versions of nasplug that a plugin written now works with: up to the next one that may break it."""
    major, minor, *_ = (*Version(metadata.version("nasplug")).release, 0)
    return f">={major}.{minor},<{f'0.{minor + 1}' if major == 0 else major + 1}"


def _values(names: Names, kind: Kind, licence: str, author: str) -> Mapping[str, str]:
    module, _, target = kind.target.partition(":")
    requirements = sorted([*kind.requires, f"nasplug{supported_versions()}"])
    return {
        "short": names.short,
        "distribution": names.distribution,
        "package": names.package,
        "kind": kind.name,
        "summary": kind.summary,
        "module": module,
        "target": target,
        "spdx": LICENCES[licence],
        "requirements": ", ".join(map(json.dumps, requirements)),
        # JSON's strings of printable characters are TOML's, too.
        "authors": f"authors = [{{ name = {json.dumps(author, ensure_ascii=False)} }}]\n" if author else "",
        "author": author or f"the authors of {names.distribution}",
        "year": str(date.today().year),
    }


def commands(names: Names, kind: Kind) -> tuple[str, str]:
    """How to see that the plugin is there, and how to run it."""
    seen = f"nasplug list {kind.name}" if kind.slots else "nasplug plugins"
    return seen, f"nasplug run {fill(kind.run, {'short': names.short})}"


def _usage(names: Names, kind: Kind) -> str:
    seen, run = commands(names, kind)
    shown = [f"    nasplug show {names.short}"] if kind.slots else []
    return "\n".join([f"    {seen}", *shown, f"    {run}"])


def _described(files: Mapping[str, str]) -> str:
    """A line of a table for each module: its path, and the first line of its docstring."""
    modules = [path for path in sorted(files) if path.startswith("src/") and path.endswith(".py")]
    first = {path: files[path].partition("\n")[0].strip('"') for path in modules}
    return "\n".join(f"| `{path}` | {line} |" for path, line in first.items() if not path.endswith("__init__.py"))
