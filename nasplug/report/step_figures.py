"""The step events of each phase, read from `events.jsonl` as columns of numbers."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from nasplug.store.events import read_events
from nasplug.values import Figure

FLATNESS = ("sharpness", "alpha_eigenvalue", "supernet_error", "discrete_error", "gap_error", "gap_loss")
ALPHA = ("alpha_entropy", "parameterless_share", "parameterless_expected")
COMMON = ("loss", "train_error", "val_error", "deleted", *FLATNESS, *ALPHA)
"""Measures of a step that do not come from the schedule."""
POSITIONS = ("step", "epoch", "stage")

Points = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Steps, and a value at each of them."""


@attrs.define
class PhaseFigures:
    """The figures of one phase. Runs have up to millions of steps, so only numbers are kept."""

    columns: dict[str, tuple[list[float], list[float]]] = attrs.field(factory=dict)
    """For each measure the steps at which it was recorded, and its values."""
    snapshots: list[tuple[int, str]] = attrs.field(factory=list)
    """Step and reason of each snapshot."""
    steps: int = 0
    epochs: int = 0

    def add(self, event: dict[str, Any], measures: Collection[str] | None) -> None:
        """Adds a step event of the phase: of its numbers those in `measures`; None: all."""
        step = int(event["step"])
        self.steps = max(self.steps, step)
        self.epochs = max(self.epochs, int(event.get("epoch") or 0) + 1)
        for name in event if measures is None else measures:
            value = event.get(name)
            if name in POSITIONS or isinstance(value, bool):
                continue
            if isinstance(value, int | float) and math.isfinite(value):
                steps, values = self.columns.setdefault(name, ([], []))
                steps.append(step)
                values.append(value)
        if event.get("snapshot") is not None:
            self.snapshots.append((step, str(event.get("reason") or "unnamed")))

    def points(self, measure: str) -> Points:
        """Every recorded value of a measure."""
        steps, values = self.columns.get(measure, ([], []))
        return np.array(steps, dtype=np.float64), np.array(values, dtype=np.float64)

    def undeclared_figures(self) -> tuple[Figure, ...]:
        """A figure for each measure of a schedule that declares none."""
        return tuple(Figure(name, name) for name in self.columns if name not in COMMON)


def read_step_figures(path: Path, measures: Collection[str] | None = None) -> dict[str, PhaseFigures]:
    """The phases of an event file, in the order in which they began; none if there is no file yet.

    Beside the measures that any phase may have, `measures` are read; None: whatever is a number. Raises InputError if
    the file is damaged; a run that is under way, or was killed, may leave half a line.
    """
    selected = None if measures is None else dict.fromkeys([*COMMON, *measures])
    phases: dict[str, PhaseFigures] = {}
    for event in read_events(path):
        if event.get("event") == "step" and isinstance(event.get("step"), int):
            phases.setdefault(str(event.get("phase", "search")), PhaseFigures()).add(event, selected)
    return phases


def average_points(points: Points, most: int) -> Points:
    """At most `most` points, each the mean of its neighbourhood: for noisy values such as a loss."""
    steps, values = points
    if len(steps) <= most:
        return points
    size = math.ceil(len(steps) / most)
    starts = np.arange(0, len(steps), size)
    sizes = np.diff(np.append(starts, len(steps)))
    return np.add.reduceat(steps, starts) / sizes, np.add.reduceat(values, starts) / sizes


def thin_points(points: Points, most: int) -> Points:
    """At most `most` of the points, first and last included: for states, of which a mean would be no state."""
    steps, values = points
    if len(steps) <= most:
        return points
    chosen = np.linspace(0, len(steps) - 1, most).round().astype(np.int64)
    return steps[chosen], values[chosen]
