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
from nasplug.scaffold.hooks_module import write_hooks
from nasplug.scaffold.kinds import Kind
from nasplug.scaffold.licences import LICENCES
from nasplug.scaffold.names import Names
from nasplug.scaffold.template import fill, read_template

SHARED = {
    "pyproject.toml": "package/pyproject.toml",
    "CHANGELOG.md": "package/CHANGELOG.md",
    ".gitignore": "package/gitignore",
    ".github/workflows/ci.yml": "package/ci.yml",
    ".github/workflows/publish.yml": "package/publish.yml",
    "tests/test_contract.py": "package/test_contract.py",
}
"""The files that all kinds of package have in common, and their templates."""


def package_files(names: Names, kind: Kind, licence: str, author: str = "") -> dict[str, str]:
    """The text of every file of a package, by its path in the folder.

    `author` may be blank. Raises InputError if it is not a single line of printable text.
    """
    author = author.strip(" ")
    if not author.isprintable():
        raise InputError(f"The author must be a name on one line, but is {author!r}.")
    templates = {
        **SHARED,
        **{f"src/{names.package}/{module}.py": name for module, name in kind.modules.items()},
        f"src/{names.package}/__init__.py": "package/init.py",
        **{f"tests/{test}.py": name for test, name in kind.tests.items()},
        "LICENSE": f"licences/{licence}",
    }
    values = _values(names, kind, licence, author)
    files = {path: fill(read_template(name), values) for path, name in templates.items()}
    files[f"src/{names.package}/py.typed"] = ""
    files[f"src/{names.package}/hooks.py"] = write_hooks(names, kind)
    about = "\n\n".join(fill(read_template(about), values).strip() for about in kind.abouts)
    readme = {"about": about, "files": _module_table(files), "usage": _usage(names, kind)}
    files["README.md"] = fill(read_template("package/README.md"), {**values, **readme})
    return dict(sorted(files.items()))


def refuse_taken(names: Names, kind: Kind, plugins: Plugins) -> None:
    """Raises InputError if an installed plugin already has one of these names."""
    for slot in kind.slots:
        for registration in plugins.find_all(slot, names.short):
            raise InputError(
                f"The {SLOT_WORDS[slot]} '{names.short}' is registered by {registration.source} already; "
                f"choose another name."
            )
    for plugin in plugins.all:
        same = canonicalize_name(names.distribution) == canonicalize_name(plugin.distribution)
        if same or names.short == plugin.name:
            raise InputError(
                f"There is a plugin '{plugin.name}' of {plugin.distribution} {plugin.version} already; choose another "
                f"name."
            )


def supported_versions() -> str:
    """The range of nasplug versions that a new plugin requires: from this one up to the next incompatible one."""
    major, minor, *_ = (*Version(metadata.version("nasplug")).release, 0)
    return f">={major}.{minor},<{f'0.{minor + 1}' if major == 0 else major + 1}"


def _values(names: Names, kind: Kind, licence: str, author: str) -> Mapping[str, str]:
    requirements = sorted([*kind.requires, f"nasplug{supported_versions()}"])
    return {
        "short": names.short,
        "distribution": names.distribution,
        "package": names.package,
        "summary": kind.summary,
        "spdx": LICENCES[licence],
        "requirements": ", ".join(map(json.dumps, requirements)),
        # A JSON string of printable characters is also a TOML string.
        "authors": f"authors = [{{ name = {json.dumps(author, ensure_ascii=False)} }}]\n" if author else "",
        "author": author or f"the authors of {names.distribution}",
        "year": str(date.today().year),
    }


def commands(names: Names, kind: Kind) -> tuple[list[str], list[str]]:
    """The commands that list the plugin, and those that run it."""
    listed = [f"nasplug list {name}" for name in kind.names if name in kind.slots]
    runs = [f"nasplug run {fill(run, {'short': names.short})}" for run in kind.runs]
    return listed or ["nasplug plugins"], runs


def _usage(names: Names, kind: Kind) -> str:
    listings, runs = commands(names, kind)
    show = [f"nasplug show {names.short}"] if kind.slots else []
    return "\n".join(f"    {command}" for command in (*listings, *show, *runs))


def _module_table(files: Mapping[str, str]) -> str:
    """The rows of a table of modules: path, and first line of the docstring."""
    modules = [path for path in sorted(files) if path.startswith("src/") and path.endswith(".py")]
    docstrings = {path: files[path].partition("\n")[0].strip('"') for path in modules}
    rows = [f"| `{path}` | {line} |" for path, line in docstrings.items() if not path.endswith("__init__.py")]
    return "\n".join(rows)
