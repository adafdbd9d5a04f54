"""Checks of the package as such: it loads, is listed quickly, and states which nasplug it works with."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
from packaging.requirements import Requirement

from nasplug.hookspecs import GROUP
from nasplug.testing.case import Case
from nasplug.testing.check import PLUGIN, check
from nasplug.testing.outcome import Failed, NotApplicable, Warned, require

PUBLIC_MODULES = frozenset(
    f"nasplug.{name}"
    for name in (
        "data",
        "errors",
        "hookspecs",
        "optimizers",
        "parts",
        "plugins",
        "spaces",
        "supernets",
        "testing",
        "tracking",
        "values",
    )
)
"""Modules, with what is in them, whose names stay the same within a minor version."""
WATCH = """
import sys, traceback
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            frames = [frame for frame in traceback.extract_stack()[:-1] if "importlib" not in frame.filename]
            print(f"{frames[-1].filename}, line {frames[-1].lineno}", file=sys.__stdout__)
            raise SystemExit
sys.meta_path.insert(0, Watch())
from nasplug.plugins import load_plugins
load_plugins(quiet=True)
"""
"""A program that loads plugins, and prints which line imports torch, if one does."""

SPACES = """
import json, sys
from random import Random
from nasplug.plugins import load_plugins
from nasplug.values.options import build
plugins = load_plugins(quiet=True)
for name, options in json.loads(sys.argv[1]).items():
    space = build(plugins.resolve(plugins.find("space", name)), options, name)
    print(name, [repr(choice) for choice in space.choice_list()], space.random(Random(0)).to_json())
"""
"""A program that prints the choices, and an architecture, of search spaces with options."""


@check(PLUGIN, first=True)
def loads(case: Case) -> None:
    """The plugin loads, and nasplug calls all of its hooks.

    A broken plugin is skipped, so that other commands still work; its author should notice before its users do.
    """
    if case.plugin.status == "active":
        return
    raise Failed(
        f"the plugin is {case.plugin.status}: {case.plugin.reason.rstrip('.')}",
        case.plugin.remedy.rstrip(".") or "fix what the reason names",
    )


@check(PLUGIN)
def is_listed_without_torch(case: Case) -> None:
    """Loading the plugin and asking what it registers does not import torch.

    A plugin that imports torch in its hook module delays every command of every user by seconds (llm#732).
    """
    if any(path.is_file() and path.name == case.plugin.distribution for path in case.settings.paths):
        raise NotApplicable("a single file holds its parts as well as its hooks")
    others = {plugin.distribution for plugin in case.plugins.all} - {case.plugin.distribution}
    settings = attrs.evolve(case.settings, without=tuple(sorted(others)))
    done = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-c", WATCH],
        env=os.environ | settings.to_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    place = done.stdout.strip()
    require(
        not place,
        f"torch is imported by {place}",
        "import it in the modules of the parts, not of the hooks",
    )


@check(PLUGIN)
def spaces_are_the_same_in_every_process(case: Case) -> None:
    """Search spaces have the same choices, in the same order, and sample alike, whatever Python's hash seed is.

    Python iterates over sets of words in another order in every process: alpha that a checkpoint holds would belong to
    other candidates in the process that resumes the run.
    """
    names = [registered.name for registered in case.plugin.registers if registered.slot == "space"]
    if not names:
        raise NotApplicable("it registers no search space")
    options = json.dumps({name: case.options.get(f"space {name}", {}) for name in names})
    started = [
        subprocess.Popen(  # noqa: S603 - this very interpreter
            [sys.executable, "-c", SPACES, options],
            env=os.environ | case.settings.to_environment() | {"PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    printed = [process.communicate() for process in started]
    for process, (_, errors) in zip(started, printed, strict=True):
        if process.returncode:  # another check reports this
            raise NotApplicable(f"its spaces cannot be built: {errors.strip().splitlines()[-1]:.200}")
    for first, second in zip(*(text.splitlines() for text, _ in printed), strict=True):
        require(
            first == second,
            f"with two hash seeds the space '{first.split()[0]}' has {first[:200]} and {second[:200]}",
            "iterate over tuples or sorted names, not over sets",
        )


@check(PLUGIN)
def imports_public_modules(case: Case) -> None:
    """The package imports no modules of nasplug but the public ones; others are a warning.

    Names of other modules change without notice: the package breaks with the next minor version.
    """
    if case.plugin.distribution == GROUP:
        raise NotApplicable("it is nasplug itself")
    files = _source_files(case)
    if not files:
        raise NotApplicable("its files are not known")
    names = {name for path in files for name in _imported(path)}
    private = sorted(name for name in names if ".".join(name.split(".")[:2]) not in PUBLIC_MODULES)
    if private:
        raise Warned(
            f"it imports {', '.join(private[:5])}",
            f"import from {', '.join(sorted(PUBLIC_MODULES))}, or ask for what is missing there",
        )


@check(PLUGIN)
def states_the_nasplug_it_works_with(case: Case) -> None:
    """The package requires nasplug with a lower and an upper bound on its version.

    Without an upper bound, a later nasplug breaks the plugin when it runs instead of being refused by the installer.
    """
    if case.plugin.distribution == GROUP or case.plugin.distribution.endswith(".py"):
        raise NotApplicable("only the package of a plugin has requirements on nasplug")
    bounds = {specifier.operator for specifier in Requirement(f"{GROUP}{case.plugin.supports}").specifier}
    require(
        bool(bounds & {"==", "~=", "==="} or (bounds & {">=", ">"} and bounds & {"<", "<="})),
        f"its requirement is '{GROUP}{case.plugin.supports}'",
        f"give both bounds among the dependencies in pyproject.toml, such as '{GROUP}>=0.2,<0.3'",
    )


@check(PLUGIN)
def registers_names_of_its_own(case: Case) -> None:
    """No other installed plugin registers one of its names in the same slot.

    If two do, users have to write distribution:name (flake8#701).
    """
    if not case.plugin.registers:
        raise NotApplicable("it registers nothing")
    for own in case.plugin.registers:
        others = [
            other for other in case.plugins.find_all(own.slot, own.name) if other.distribution != own.distribution
        ]
        require(
            not others,
            f"the {own.slot} '{own.name}' is registered by {' and by '.join(other.source for other in others)} too",
            "choose another name",
        )


def _source_files(case: Case) -> list[Path]:
    """The Python files of a plugin, but for its tests."""
    path = case.plugin.path
    if path is not None and path.is_file():
        return [path]
    packages = {registered.target.partition(":")[0].partition(".")[0] for registered in case.plugin.registers}
    found = [importlib.util.find_spec(name) for name in sorted(packages)]
    folders = [Path(folder) for spec in found if spec is not None for folder in spec.submodule_search_locations or ()]
    return [file for folder in folders for file in sorted(folder.rglob("*.py"))]


def _imported(path: Path) -> Iterator[str]:
    """The modules of nasplug that a file imports; of the package itself, the names in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == GROUP:
            submodules = [f"{GROUP}.{alias.name}" for alias in node.names]
            yield from (name for name in submodules if importlib.util.find_spec(name) is not None)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(f"{GROUP}."):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith(f"{GROUP}."))
