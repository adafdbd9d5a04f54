"""What a run folder says about a run: its result, its recipe and the figures of its steps."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from nasplug.errors import InputError
from nasplug.report.step_figures import PhaseFigures, read_step_figures
from nasplug.store.result import RunResult, read_result
from nasplug.values import Figure
from nasplug.values.checksum import recipe_was_changed

ENTRIES = ("method", "dataset", "status")
"""What a result must have to be reported; whatever else it lacks is left out of the report."""
NETWORK_ENTRIES = ("id", "role", "params", "macs")


@attrs.frozen
class RunRecord:
    """One run, read from its folder."""

    result: RunResult
    recipe: Mapping[str, Any]
    phases: Mapping[str, PhaseFigures]
    """The step events of each phase, in the order in which the phases began."""

    def schedule_figures(self) -> tuple[PhaseFigures, tuple[Figure, ...]] | None:
        """The phase that has figures of the schedule, and those that it has; None if there are none.

        A run of a version that did not record what its schedule declares shows every number that it wrote.
        """
        if self.result.figures is None:
            phases = [phase for name, phase in self.phases.items() if name == "search"]
            candidates = [(phase, phase.undeclared_figures()) for phase in phases]
        else:
            declared = self.result.figures
            candidates = [
                (phase, tuple(figure for figure in declared if figure.name in phase.columns))
                for phase in self.phases.values()
            ]
        return next(((phase, figures) for phase, figures in candidates if figures), None)

    @property
    def recipe_was_changed(self) -> bool:
        """Whether the recipe is known to say something else than when the run was started."""
        return recipe_was_changed(self.recipe)

    @property
    def command(self) -> tuple[str, ...]:
        """The words that repeat the run; empty if the recipe does not tell them."""
        sections = (self.recipe.get(name) for name in ("environment", "run"))
        commands = [section.get("command") for section in sections if isinstance(section, Mapping)]
        return next((tuple(map(str, command)) for command in commands if isinstance(command, list)), ())


def read_run_record(run: Path) -> RunRecord:
    """Reads a run folder. InputError, in one sentence, if result or recipe is missing or damaged."""
    recipe = _read_recipe(run / "recipe.toml")
    result = read_result(run, ENTRIES, NETWORK_ENTRIES)
    measures = None if result.figures is None else [figure.name for figure in result.figures]
    return RunRecord(result, recipe, read_step_figures(run / "events.jsonl", measures))


def _read_recipe(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"'{path}' is damaged: it is not TOML ({error}).") from error
