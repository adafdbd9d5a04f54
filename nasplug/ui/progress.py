"""Progress of a run: bars in a terminal, plain lines elsewhere. The work knows nothing of either."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

PLAIN_SECONDS = 5.0
"""Seconds between two plain lines of one phase."""


class PhaseProgress(Protocol):
    """How far a phase is, as the phases report it."""

    @property
    def phase(self) -> str:
        """Name of the phase."""

    @property
    def done(self) -> int:
        """Steps done."""

    @property
    def total(self) -> int:
        """Steps of the whole phase; 0 where nobody knows."""

    @property
    def text(self) -> str:
        """What else there is to say."""


def show_progress(stages: Iterable[PhaseProgress], console: Console) -> None:
    """Runs through `stages`, showing each on `console`."""
    for _ in (_bars if console.is_terminal else _lines)(stages, console):
        pass


def _bars(stages: Iterable[PhaseProgress], console: Console) -> Iterator[None]:
    columns = (
        TextColumn("{task.fields[phase]:<22}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, refresh_per_second=4) as progress:
        for stage in stages:
            if stage.phase not in tasks:
                tasks[stage.phase] = progress.add_task(
                    "", total=stage.total or None, phase=stage.phase, text="", count=""
                )
            progress.update(tasks[stage.phase], completed=stage.done, text=stage.text, count=_count(stage))
            yield


def _lines(stages: Iterable[PhaseProgress], console: Console) -> Iterator[None]:
    said: dict[str, float] = {}
    for stage in stages:
        now = time.monotonic()
        if 0 < stage.total <= stage.done or now - said.get(stage.phase, -PLAIN_SECONDS) >= PLAIN_SECONDS:
            said[stage.phase] = now
            text = f": {stage.text}" if stage.text else ""
            console.print(f"{stage.phase} {_count(stage)}{text}", markup=False, highlight=False, soft_wrap=True)
        yield


def _count(stage: PhaseProgress) -> str:
    return f"{stage.done}/{stage.total}" if stage.total else str(stage.done)
