"""Writes the events of a run as TensorBoard event files.

Each phase of a run is a "run" of TensorBoard: RUN/tensorboard/search, RUN/tensorboard/retrain/ID and so on, so that the
losses of all retrainings are in one chart. The architectures that a search found are in RUN/tensorboard/search/found.

Phases may run beside each other, so several files are open. A resumed run starts at its last checkpoint and repeats the
steps after it: the file that the new process begins tells TensorBoard to discard what it has read of these steps
(`purge_step`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import attrs
from torch.utils.tensorboard import SummaryWriter

from nasplug.values import Genotype

FOLDER = "tensorboard"
NOT_MEASURED = {"event", "phase", "step", "epoch", "stage"}
"""Fields of an event that are not measurements."""
MOST_OPEN = 64
"""Files that are open at a time: phases do not say when they end."""


@attrs.define(eq=False)
class Track:
    """The event files of one folder, in which steps only increase."""

    folder: Path
    last: int = -1
    writer: SummaryWriter | None = None

    def write(self, step: int, event: Mapping[str, Any], architecture: object) -> None:
        """Writes the measurements of an event, and its architecture unless None, and flushes them to disk."""
        writer = self._writer_at(step)
        for name, value in event.items():
            if name not in NOT_MEASURED and isinstance(value, int | float) and not isinstance(value, bool):
                writer.add_scalar(name, value, step)
        if architecture is not None:
            writer.add_text("architecture", describe(Genotype.from_dict(architecture), str(event["reason"])), step)
        writer.flush()  # the process may be killed, and a resumed run does not repeat steps before its checkpoint

    def close(self) -> None:
        """Closes the file."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def _writer_at(self, step: int) -> SummaryWriter:
        """The writer for this step: a new one if the step was written before, which discards it and all later ones."""
        if step <= self.last:
            self.close()
        if self.writer is None:
            wait_for_later_name(self.folder)
            self.writer = SummaryWriter(str(self.folder), purge_step=step)
        self.last = step
        return self.writer


@attrs.define(eq=False)
class Recorder:
    """The files of all phases that are under way."""

    tracks: dict[Path, Track] = attrs.field(factory=dict)
    """By folder, the one used last at the end."""
    found: dict[Path, int] = attrs.field(factory=dict)
    """Number of architectures that a phase has found so far."""

    def record(self, run: Path, event: Mapping[str, Any]) -> None:
        """Writes one event. Ratings of paths are not written; they are in the run's `ratings.json`."""
        phase = run / FOLDER / event["phase"]
        if event["event"] == "step":
            self._track(phase).write(event["step"], event, event.get("snapshot"))
            self.found.pop(phase, None)
        elif event["event"] == "found":
            # Several are found at one step, so they are numbered. If the run is resumed, all of them are repeated.
            number = self.found.get(phase, 0)
            self._track(phase / "found").write(number, event, event["genotype"])
            self.found[phase] = number + 1

    def close(self, run: Path) -> None:
        """Closes all files of a run."""
        for folder in [folder for folder in self.tracks if folder.is_relative_to(run)]:
            self.tracks.pop(folder).close()
        self.found = {phase: count for phase, count in self.found.items() if not phase.is_relative_to(run)}

    def _track(self, folder: Path) -> Track:
        track = self.tracks.pop(folder, None) or Track(folder)
        self.tracks[folder] = track
        if len(self.tracks) > MOST_OPEN:
            self.tracks.pop(next(iter(self.tracks))).close()
        return track


@cache
def recorder() -> Recorder:
    """The recorder of this process."""
    return Recorder()


def wait_for_later_name(folder: Path) -> None:
    """Waits, at most a second, until the name of a new file sorts after those in the folder.

    TensorBoard reads files in the order of their names, which begin with the second of their creation.
    """
    while any(folder.glob(f"events.out.tfevents.{int(time.time()):010d}.*")):
        time.sleep(0.05)


def describe(genotype: Genotype, reason: str) -> str:
    """An architecture in Markdown: its digest, the reason why it was recorded, and its picks at every place."""
    rows = [f"| {place} | {', '.join(picked) or '-'} |" for place, picked in genotype.picks]
    return "\n".join([f"`{genotype.digest}` ({genotype.space}, {reason})", "", "| place | picks |", "|---|---|", *rows])
