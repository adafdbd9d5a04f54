"""Many runs that differ in method, space or seed: which of them are finished, and how each is carried out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from nasplug.compose import resolve_recorded
from nasplug.errors import InputError, quote
from nasplug.plugins import Plugins
from nasplug.runs.signals import ShouldStop
from nasplug.store.result import RESULT, read_result
from nasplug.store.run_folder import RunFolder
from nasplug.values.recipe import Recipe

POLL_SECONDS = 0.2
"""Time between two looks at whether a run has to be stopped."""
MACHINE: Mapping[str, tuple[str, ...]] = {
    "run": ("device", "jobs", "threads", "checkpoint_seconds", "cuda_graphs", "poll", "device_data"),
    "data": ("root", "download"),
}
"""By section, the options that say where and how a run computes, and not what."""
RECORD = "plugins"
"""The section that says who supplied the parts."""
SHOWN = 3
"""Differences that a message names, at most."""


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
        sections = _decisive(recipe)
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
    recorded = resolve_recorded(plugins, RunFolder.existing(folder).recipe_layer(), folder)
    if differences := list(find_differences(recorded, recipe)):
        more = len(differences) - SHOWN
        named = "; ".join(differences[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
        raise InputError(
            f"{quote(folder)} holds a run with another recipe: {named}. Ask for the same options, or name another "
            f"folder with --out."
        )
    is_done = (folder / RESULT).is_file() and read_result(folder).status == "done"
    return "finished" if is_done else "stopped"


def find_differences(recorded: Recipe, asked: Recipe) -> Iterator[str]:
    """In which options that decide what a run computes two recipes differ, in words."""
    there, here = _decisive(recorded), _decisive(asked)
    for section in dict.fromkeys((*there, *here)):
        old, new = there.get(section, {}), here.get(section, {})
        for name in dict.fromkeys((*old, *new)):
            if old.get(name) != new.get(name):
                yield f"{section}.{name} is {_show(old.get(name))} there and {_show(new.get(name))} here"


def _decisive(recipe: Recipe) -> dict[str, dict[str, Any]]:
    return {
        section: {name: value for name, value in options.items() if name not in MACHINE.get(section, ())}
        for section, options in recipe.to_dict().items()
        if section != RECORD
    }


def _show(value: object) -> str:
    return "unset" if value is None else quote(value)


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
