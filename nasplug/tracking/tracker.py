"""What an experiment tracker has to do for a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs


@attrs.frozen
class Figures:
    """What was measured at one step of a phase."""

    number: int
    """Figures of this run that were logged before, in all phases: the place of these in the history of the run."""
    phase: str
    """A phase such as "search" or "retrain/ID"."""
    step: int
    values: Mapping[str, float]
    """Losses, errors from 0 to 1 and other measurements by name."""


@attrs.frozen
class NetworkTable:
    """The networks of a finished run, one in a row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | bool | None, ...], ...]


class Tracker(ABC):
    """One run in an experiment tracker.

    Its methods are called one after the other in a thread of their own, so they may take their time. What they raise
    ends the tracking of the run, with a warning, and nothing else.
    """

    @abstractmethod
    def open(self, run: Path, parameters: Mapping[str, str], identity: str | None) -> str:
        """Begins a run in the tracker, or goes on with the run `identity` there.

        Args:
            run: The run folder; its name is a good name for the run.
            parameters: The resolved recipe, "SECTION.OPTION" to value. They may have been logged before.
            identity: What this method returned when the run folder was tracked for the first time; None: this is it.

        Returns:
            What identifies the run in the tracker.
        """

    @abstractmethod
    def log(self, figures: Sequence[Figures]) -> None:
        """Adds measurements; none is given twice, and within a phase the steps increase."""

    @abstractmethod
    def log_result(self, summary: Mapping[str, float], networks: NetworkTable) -> None:
        """Adds what a finished run has come to: figures of its best network, and a table of all networks."""

    @abstractmethod
    def log_files(self, files: Mapping[str, Path]) -> None:
        """Adds files of a finished run, by their paths within it; they may have been added before."""

    @abstractmethod
    def close(self, status: str) -> None:
        """Ends the run for now: "done", "stopped" or "failed". It may be opened again."""
