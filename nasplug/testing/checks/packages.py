"""The package as such: whether it is found, loaded and listed without harm to anybody."""

from __future__ import annotations

import os
import subprocess
import sys

import attrs
from packaging.requirements import Requirement

from nasplug.hookspecs import GROUP
from nasplug.testing.case import Case
from nasplug.testing.check import PLUGIN, Failed, NotApplicable, check, require

WATCH = """
import sys, traceback
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            frames = [one for one in traceback.extract_stack()[:-1] if "importlib" not in one.filename]
            print(f"{frames[-1].filename}, line {frames[-1].lineno}", file=sys.__stdout__)
            raise SystemExit
sys.meta_path.insert(0, Watch())
from nasplug.plugins import load_plugins
load_plugins(quiet=True)
"""
"""Loads plugins, and says which line imports torch, if one does."""


@check(PLUGIN, first=True)
def loads(case: Case) -> None:
    """The plugin loads, and all of its hooks are ones that nasplug calls.

    A broken plugin is skipped, so that runs go on without it; its author should learn that before its users do.
    """
    if case.plugin.status == "active":
        return
    raise Failed(
        f"the plugin is {case.plugin.status}: {case.plugin.reason.rstrip('.')}",
        case.plugin.remedy.rstrip(".") or "mend what the reason names",
    )


@check(PLUGIN)
def is_listed_without_torch(case: Case) -> None:
    """Loading the plugin and asking what it registers does not import torch.

    One plugin that imports it in its hook module makes every command of everybody wait for seconds (llm#732).
    """
    if any(path.is_file() and path.name == case.plugin.distribution for path in case.settings.paths):
        raise NotApplicable("a single file holds its parts as well as its hooks")
    others = {each.distribution for each in case.plugins.every} - {case.plugin.distribution}
    settings = attrs.evolve(case.settings, without=tuple(sorted(others)))
    done = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-c", WATCH],
        env=os.environ | settings.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    place = done.stdout.strip()
    require(
        not place, f"torch is imported by {place}", "import it in the modules of the parts, not in that of the hooks"
    )


@check(PLUGIN)
def states_the_nasplug_it_works_with(case: Case) -> None:
    """The package requires nasplug, with a lowest version and one from which on it promises nothing.

    Without an upper bound a later nasplug breaks the plugin at the user's, instead of being refused by the installer.
    """
    if case.plugin.distribution == GROUP or case.plugin.distribution.endswith(".py"):
        raise NotApplicable("only the package of a plugin has requirements on nasplug")
    bounds = {each.operator for each in Requirement(f"{GROUP}{case.plugin.supports}").specifier}
    require(
        bool(bounds & {"==", "~=", "==="} or (bounds & {">=", ">"} and bounds & {"<", "<="})),
        f"its requirement is '{GROUP}{case.plugin.supports}'",
        f"give both bounds among the dependencies in pyproject.toml, such as '{GROUP}>=0.2,<0.3'",
    )


@check(PLUGIN)
def registers_names_of_its_own(case: Case) -> None:
    """No other installed plugin registers one of its names in the same slot.

    Where two do, users have to write distribution:name from then on (flake8#701).
    """
    if not case.plugin.registers:
        raise NotApplicable("it registers nothing")
    for one in case.plugin.registers:
        others = [other for other in case.plugins.named(one.slot, one.name) if other.distribution != one.distribution]
        require(
            not others,
            f"the {one.slot} '{one.name}' is registered by {' and by '.join(other.source for other in others)} too",
            "choose another name",
        )
