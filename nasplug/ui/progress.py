"""Progress of a run: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

PLAIN_SECONDS = 5.0
"""Least time between two plain lines of one phase."""


class PhaseState(Protocol):
    """How far a phase has come, as `nasplug.runs` reports it."""

    @property
    def phase(self) -> str:
        """Name of the phase."""

    @property
    def done(self) -> int:
        """Steps done."""

    @property
    def total(self) -> int:
        """Steps of the whole phase; 0 where unknown."""

    @property
    def text(self) -> str:
        """More about it, such as the loss."""


def show_progress(states: Iterable[PhaseState], console: Console) -> None:
    """Carries out the work that yields `states`, and shows each of them on `console`."""
    show = _show_bars if console.is_terminal else _show_lines
    for _ in show(states, console):
        pass


def _show_bars(states: Iterable[PhaseState], console: Console) -> Iterator[None]:
    columns = (
        TextColumn("{task.fields[phase]:<22}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[count]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}", markup=False),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, refresh_per_second=4) as bars:
        for state in states:
            if state.phase not in tasks:
                tasks[state.phase] = bars.add_task("", total=state.total or None, phase=state.phase, text="", count="")
            bars.update(tasks[state.phase], completed=state.done, text=state.text, count=_format_count(state))
            yield


def _show_lines(states: Iterable[PhaseState], console: Console) -> Iterator[None]:
    last_lines: dict[str, float] = {}
    for state in states:
        now = time.monotonic()
        complete = 0 < state.total <= state.done
        if complete or now - last_lines.get(state.phase, -PLAIN_SECONDS) >= PLAIN_SECONDS:
            last_lines[state.phase] = now
            text = f": {state.text}" if state.text else ""
            console.print(f"{state.phase} {_format_count(state)}{text}", markup=False, highlight=False, soft_wrap=True)
        yield


def _format_count(state: PhaseState) -> str:
    return f"{state.done}/{state.total}" if state.total else str(state.done)
