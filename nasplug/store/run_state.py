"""Which runs are in a folder, and in which state each of them is. Reading them imports no torch."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import attrs

from nasplug.errors import InputError, command, quote
from nasplug.formats.toml_text import read_toml
from nasplug.store.lock import is_under_way
from nasplug.store.result import RESULT, RunResult, read_result

State = Literal["done", "going on", "stopped", "failed", "damaged"]
RECIPE = "recipe.toml"
UNFINISHED = "unfinished-start"
"""The file that marks a folder in which the first files of a run are not complete."""
LATEST = (RECIPE, "events.jsonl", RESULT)
"""The files of which the newest tells when a run has changed last."""


@attrs.frozen
class RunState:
    """What the folder of a run tells at a glance; of a damaged one, what can be read."""

    folder: Path
    state: State
    """A run goes on while a process holds its lock; one that was killed, or has only begun, is stopped."""
    changed: float | None
    """When its recipe, events or result have changed last, in seconds since 1970; None: there is none of them."""
    recipe: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    """The sections of the recipe; empty where it is damaged."""
    result: RunResult | None = attrs.field(default=None, repr=False)
    """None: there is none yet, or it is damaged."""
    problem: str = ""
    """A sentence on what is damaged."""

    @property
    def method(self) -> str:
        """The method; empty where the recipe does not tell."""
        return self._option("run", "method")

    @property
    def space(self) -> str:
        """The search space; empty where the recipe does not tell."""
        return self._option("space", "part")

    @property
    def dataset(self) -> str:
        """The data set; empty where the recipe does not tell."""
        return self._option("data", "name")

    @property
    def seed(self) -> str:
        """The seed; empty where the recipe does not tell."""
        return self._option("run", "seed")

    def _option(self, section: str, name: str) -> str:
        options = self.recipe.get(section)
        return str(options.get(name, "")) if isinstance(options, Mapping) else ""


def find_runs(folder: Path) -> list[Path]:
    """The run folders in `folder`, and those in its folders that are no runs, such as sweeps; numbers by their value.

    If `folder` itself is a run, it alone. Raises InputError if there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(
            f"There is no folder {quote(folder)}; '{command('run')}' makes one for each run in 'runs', and "
            f"'{command('runs', 'FOLDER')}' lists those in another folder."
        )
    if is_run(folder):
        return [folder]
    found: list[Path] = []
    for child in _folders_in(folder):
        found += [child] if is_run(child) else filter(is_run, _folders_in(child))
    return found


def is_run(folder: Path) -> bool:
    """Whether it is the folder of a run whose start, or selection from another run, is finished."""
    # False where it cannot be looked at.
    return os.path.isfile(folder / RECIPE) and not os.path.lexists(folder / UNFINISHED)


def read_run_state(folder: Path) -> RunState:
    """The state of a run; whatever is damaged is told in it."""
    changed = _find_last_change(folder)
    try:
        recipe = read_toml(folder / RECIPE, "recipe")
    except InputError as error:
        return RunState(folder, "damaged", changed, problem=str(error))
    state = RunState(folder, "stopped", changed, recipe)
    under_way = is_under_way(folder)
    try:
        if not os.path.lexists(folder / RESULT):
            return attrs.evolve(state, state="going on" if under_way else "stopped")
        result = read_result(folder)
        return attrs.evolve(state, state=_state_of(result, folder, under_way), result=result)
    except InputError as error:
        return attrs.evolve(state, state="damaged", problem=str(error))


def _state_of(result: RunResult, folder: Path, under_way: bool) -> State:
    match result.status:
        case "done":  # also while a program works with its networks
            return "done"
        case "running":
            return "going on"
        case "stopped" | "failed":
            return "going on" if under_way else "stopped" if result.status == "stopped" else "failed"
        case other:
            raise InputError(f"'{folder / RESULT}' is damaged: there is no status {quote(other)}.")


def _find_last_change(folder: Path) -> float | None:
    times = []
    for name in LATEST:
        with suppress(OSError):  # it is not there, or is replaced just now
            times.append(os.stat(folder / name).st_mtime)
    return max(times, default=None)


def _folders_in(folder: Path) -> list[Path]:
    try:
        return sorted(filter(os.path.isdir, folder.iterdir()), key=_natural)
    except PermissionError:
        return []


def _natural(path: Path) -> list[tuple[str, int]]:
    """What sorts 10 behind 9: each stretch of a name before a number, and the number."""
    return [(text, int(number or 0)) for text, number in re.findall(r"(\D*)(\d*)", path.name)]
