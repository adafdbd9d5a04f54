"""Many runs that differ in method, space or seed: which of them are finished, and how each is carried out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import attrs

from nasplug.errors import InputError
from nasplug.plugins import Plugins
from nasplug.runs.same_run import decisive_options, refuse_other_run
from nasplug.runs.signals import ShouldStop
from nasplug.store.result import RESULT, read_result
from nasplug.values.recipe import Recipe

POLL_SECONDS = 0.2
"""Time between two looks at whether a run has to be stopped."""


@attrs.frozen
class SweepRun:
    """One run of a sweep."""

    folder: Path
    recipe: Recipe
    """What is asked for."""
    status: Literal["new", "stopped", "finished"]
    """Whether its folder holds nothing yet, a run that can be resumed, or one that is done."""


def plan_sweep(plugins: Plugins, recipes: Mapping[Path, Recipe]) -> list[SweepRun]:
    """What there is to do for the recipe of every folder.

    Raises InputError if a folder holds a run with another recipe, or if two of the recipes, but for the name of their
    method, are the same: then options override everything in which the methods differ.
    """
    folders: dict[str, Path] = {}
    for folder, recipe in recipes.items():
        sections = decisive_options(recipe)
        sections["run"].pop("method")
        twin = folders.setdefault(repr(sections), folder)
        if twin != folder:
            raise InputError(
                f"'{twin.name}' and '{folder.name}' would be the same run: the options of this sweep replace "
                f"everything in which '{recipes[twin].run.method}' and '{recipe.run.method}' differ; leave out one of "
                f"the methods, or the parts that --config or other options name."
            )
    return [SweepRun(folder, recipe, _find_status(plugins, folder, recipe)) for folder, recipe in recipes.items()]


def _find_status(plugins: Plugins, folder: Path, recipe: Recipe) -> Literal["new", "stopped", "finished"]:
    if not (folder / "recipe.toml").is_file():
        return "new"
    refuse_other_run(plugins, folder, recipe)
    is_done = (folder / RESULT).is_file() and read_result(folder).status == "done"
    return "finished" if is_done else "stopped"


def carry_out(folder: Path, should_stop: ShouldStop) -> int:
    """Carries out a run that was started, in a process of its own, and returns the exit code of that process.

    So a run has its own peak of memory, and whatever ends it ends nothing else. Its output goes where that of this
    process goes. Where `should_stop` says so, it is stopped at its next step and can be resumed.
    """
    words = [sys.executable, "-P", "-m", "nasplug", "resume", str(folder.absolute())]
    process = subprocess.Popen(words)  # noqa: S603 - this program itself
    is_told = False
    while True:
        try:
            return process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            # A terminal sends Ctrl-C to both processes, and of several signals the first decides how a run ends, so
            # that this one then changes nothing. On Windows it would end the process at once.
            if should_stop() and not is_told and sys.platform != "win32":
                process.terminate()
                is_told = True
