"""Events of a run as TensorBoard's event files.

Each phase of a run is a "run" of TensorBoard: RUN/tensorboard/search, RUN/tensorboard/retrain/ID and so on, so that the
losses of all retrainings lie over each other. What a search settled on is one more, RUN/tensorboard/search/found.

Phases may run in processes of their own, which share nothing: each process writes a file of its own for each phase that
it works on. A run that is resumed goes back to its last checkpoint, and the steps after it come again; the file that
a process begins says so (TensorBoard calls it purging), and TensorBoard forgets what it has read of these steps.
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
APART = {"event", "phase", "step", "epoch", "stage"}
"""Numbers of an event that say where it stands, not what was measured."""


@attrs.define(eq=False)
class Track:
    """One curve after the other in one folder of event files, always growing in its steps."""

    folder: Path
    last: int = -1
    writer: SummaryWriter | None = None

    def write(self, step: int, event: Mapping[str, Any], architecture: object) -> None:
        """Writes what an event measured and the architecture that it found, if any, and sees that both are on disk."""
        writer = self._at(step)
        for name, value in event.items():
            if name not in APART and isinstance(value, int | float) and not isinstance(value, bool):
                writer.add_scalar(name, value, step)
        if architecture is not None:
            writer.add_text("architecture", described(Genotype.from_dict(architecture), str(event["reason"])), step)
        writer.flush()  # a process may be killed any time, and a resumed run writes no step again that it need not

    def close(self) -> None:
        """Ends the file."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def _at(self, step: int) -> SummaryWriter:
        """The file in which this step comes next. A new one forgets this step and all after it in files before it."""
        if step <= self.last:
            self.close()
        if self.writer is None:
            later_in_name(self.folder)
            self.writer = SummaryWriter(str(self.folder), purge_step=step)
        self.last = step
        return self.writer


@attrs.define(eq=False)
class Recorder:
    """All that one process writes. Holds files open for one phase at a time: a process works on one after the other."""

    tracks: dict[Path, Track] = attrs.field(factory=dict)
    phase: Path | None = None
    found: int = 0
    """Architectures that the phase has settled on so far."""

    def record(self, run: Path, event: Mapping[str, Any]) -> None:
        """Writes one event. Ratings of paths have no place on a curve and are left to the run's `ratings.json`."""
        phase = run / FOLDER / event["phase"]
        if phase != self.phase:
            self.close()
            self.phase = phase
        if event["event"] == "step":
            self._track(phase).write(event["step"], event, event.get("snapshot"))
            self.found = 0
        elif event["event"] == "found":
            # Several are found at one step. They are counted, and all of them come again if the run is resumed.
            self._track(phase / "found").write(self.found, event, event["genotype"])
            self.found += 1

    def close(self) -> None:
        """Ends all files."""
        for track in self.tracks.values():
            track.close()
        self.tracks.clear()
        self.found = 0

    def _track(self, folder: Path) -> Track:
        return self.tracks.setdefault(folder, Track(folder))


@cache
def recorder() -> Recorder:
    """The recorder of this process."""
    return Recorder()


def later_in_name(folder: Path) -> None:
    """Waits, a second at most, until a new file sorts behind those of the folder.

    TensorBoard reads files in the order of their names, which begin with the second in which each was made.
    """
    while any(folder.glob(f"events.out.tfevents.{int(time.time()):010d}.*")):
        time.sleep(0.05)


def described(genotype: Genotype, reason: str) -> str:
    """An architecture in Markdown: its digest, why it was noted, and what it picks at every place."""
    rows = [f"| {place} | {', '.join(picked) or '-'} |" for place, picked in genotype.picks]
    return "\n".join([f"`{genotype.digest}` ({genotype.space}, {reason})", "", "| place | picks |", "|---|---|", *rows])
