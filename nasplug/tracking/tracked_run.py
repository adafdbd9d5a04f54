"""Brings what happens in a run to a tracker, in a thread of its own: a slow or broken tracker holds up no training."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import attrs

from nasplug.errors import command, one_line
from nasplug.plugins.hook_calls import note
from nasplug.store.result import read_result
from nasplug.store.run_folder import read_json, write_json
from nasplug.tracking.run_contents import (
    errors_of,
    list_files,
    read_parameters,
    read_status,
    read_steps,
    summarise_best,
    tabulate_networks,
)
from nasplug.tracking.tracker import Figures, Tracker

INTERVAL = 1.0
"""Seconds for which events are collected before they are sent."""
AT_ONCE = 1000
"""The most steps that a tracker gets in one call."""
NOT_MEASURED = frozenset({"event", "phase", "step", "epoch", "stage"})
"""Entries of an event that are no measurements."""


@attrs.define
class Logged:
    """What a tracker has been told of a run, kept in the run folder: a run that is resumed tells nothing twice."""

    id: str | None = None
    """What identifies the run in the tracker."""
    count: int = 0
    """Figures that were logged."""
    steps: dict[str, int] = attrs.field(factory=dict)
    """By phase, the last step that was logged."""
    finished: bool = False
    """Whether the result was logged."""

    @classmethod
    def read(cls, path: Path) -> Logged:
        """What the file holds, or nothing yet; InputError if it is damaged."""
        known = read_json(path) if path.is_file() else {}
        return cls(**{field.name: known[field.name] for field in attrs.fields(cls) if field.name in known})


class TrackedRun:
    """A run folder and its run in a tracker.

    What the tracker is told is put on record in the run folder before it is told, so nothing is told twice; where a
    process is killed between the two, figures of at most INTERVAL seconds are missing in the tracker.
    """

    def __init__(
        self, run: Path, name: str, make_tracker: Callable[[], Tracker], *, weights: bool, interval: float = INTERVAL
    ) -> None:
        self._run, self._name, self._make_tracker = run, name, make_tracker
        self._weights, self._interval = weights, interval
        self._record = record_path(run, name)
        self._logged = Logged()
        self._waiting: SimpleQueue[Mapping[str, Any] | None] = SimpleQueue()
        self._over = threading.Event()
        threading.Thread(target=self._work, name=f"nasplug-{name}", daemon=True).start()

    def put(self, event: Mapping[str, Any]) -> None:
        """Takes an event of the run; returns at once."""
        if event["event"] == "step" and not self._over.is_set():
            self._waiting.put(event)

    def end(self, seconds: float) -> None:
        """Ends the run in the tracker; warns if that takes longer than `seconds`."""
        self._waiting.put(None)
        if not self._over.wait(seconds):
            note(
                f"The tracker {self._name} has not taken everything of '{self._run}' within {seconds:g} s; to send "
                f"what is missing: {command('resume', self._run)}"
            )

    def _work(self) -> None:
        try:
            self._logged = Logged.read(self._record)
            tracker = self._make_tracker()
            self._logged.id = tracker.open(self._run, read_parameters(self._run), self._logged.id)
            self._write_record()
            self._log(tracker, read_steps(self._run))  # also what was not sent before the run was stopped, or is new
            ended = False
            while not ended:
                events, ended = self._collect()
                self._log(tracker, events)
            self._finish(tracker)
        except (Exception, SystemExit) as error:  # of a library, which may raise anything
            note(
                f"The tracker {self._name} gets no more of '{self._run}', which itself goes on: {one_line(error)}. "
                f"When that is mended, this sends what is missing: {command('resume', self._run)}"
            )
        finally:
            self._over.set()

    def _collect(self) -> tuple[list[Mapping[str, Any]], bool]:
        """The events of the next INTERVAL seconds in which there is one, and whether the run ended with them."""
        events = []
        event = self._waiting.get()
        until = time.monotonic() + self._interval
        while event is not None:
            events.append(event)
            try:
                event = self._waiting.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                return events, False
        return events, True

    def _log(self, tracker: Tracker, events: Iterable[Mapping[str, Any]]) -> None:
        new = self._new_figures(events)
        while figures := list(islice(new, AT_ONCE)):
            self._write_record()
            tracker.log(figures)

    def _new_figures(self, events: Iterable[Mapping[str, Any]]) -> Iterator[Figures]:
        """The measurements of the steps that have not been logged, each counted as logged."""
        logged = self._logged
        for event in events:
            phase, step = event["phase"], event["step"]
            if step > logged.steps.get(phase, -1):
                logged.steps[phase] = step
                yield self._count(phase, step, measurements(event))

    def _count(self, phase: str, step: int, values: Mapping[str, float]) -> Figures:
        figures = Figures(self._logged.count, phase, step, values)
        self._logged.count += 1
        return figures

    def _finish(self, tracker: Tracker) -> None:
        status = read_status(self._run)
        if status == "done":
            result = read_result(self._run)
            if not self._logged.finished:
                phases = {phase.rpartition("/")[2]: phase for phase in self._logged.steps}
                trained = [
                    (phases[network.id], errors_of(network)) for network in result.networks if network.id in phases
                ]
                figures = [self._count(phase, self._logged.steps[phase], errors) for phase, errors in trained if errors]
                self._logged.finished = True
                self._write_record()
                tracker.log(figures)
                tracker.log_result(summarise_best(result), tabulate_networks(result))
            tracker.log_files(list_files(self._run, weights=self._weights))
        tracker.close(status)

    def _write_record(self) -> None:
        write_json(self._record, attrs.asdict(self._logged))


def record_path(run: Path, name: str) -> Path:
    """Where it is on record what a tracker has been told of a run."""
    return run / f"{name}.json"


def measurements(event: Mapping[str, Any]) -> dict[str, float]:
    """The numbers in an event that are measurements."""
    return {
        name: float(value)
        for name, value in event.items()
        if name not in NOT_MEASURED and isinstance(value, int | float) and not isinstance(value, bool)
    }
