"""What the hooks of a tracker's package call. Importing this module imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from nasplug.plugins.settings import Settings, is_switched_on

if TYPE_CHECKING:  # they import torch
    from nasplug.tracking.tracked_run import TrackedRun
    from nasplug.tracking.tracker import Tracker

WEIGHTS = "NASPLUG_TRACK_WEIGHTS"
"""Set to 1, trackers also get the weights of the networks of a finished run."""
PATIENCE: Mapping[str, float] = {"done": 60.0}
"""By status of a run, the seconds for which its process waits for a tracker at its end."""
IMPATIENCE = 10.0
"""The same for other ends, after which a process may be killed."""

_tracked: dict[tuple[str, Path], TrackedRun] = {}
"""The runs of this process that are under way, by tracker and folder."""


def follow(run: Path, event: Mapping[str, Any], name: str, make_tracker: Callable[[], Tracker]) -> None:
    """Brings an event of a run to the tracker `name`, if it is asked for: to be called by `nasplug_event`.

    A tracker is asked for with `--observe NAME` (NASPLUG_OBSERVE), or by a run that it was asked for before.
    `make_tracker` is called in another thread.
    """
    if (tracked := _find(run, name, make_tracker)) is not None:
        tracked.put(event)


def finish(run: Path, name: str, make_tracker: Callable[[], Tracker]) -> None:
    """Brings the end of a run to the tracker `name`, if it is asked for: to be called by `nasplug_end`.

    It waits until the tracker has everything, at most a minute. A run that it has seen nothing of is sent whole.
    """
    if (tracked := _find(run, name, make_tracker)) is not None:
        from nasplug.tracking.run_contents import read_status

        del _tracked[name, run]
        tracked.end(PATIENCE.get(read_status(run), IMPATIENCE))


def _find(run: Path, name: str, make_tracker: Callable[[], Tracker]) -> TrackedRun | None:
    tracked = _tracked.get((name, run))
    if tracked is None and _is_asked_for(run, name):
        from nasplug.tracking.tracked_run import TrackedRun

        tracked = _tracked[name, run] = TrackedRun(run, name, make_tracker, weights=is_switched_on(WEIGHTS))
    return tracked


def _is_asked_for(run: Path, name: str) -> bool:
    asked = {canonicalize_name(word) for word in Settings.from_environment().observe}
    return bool(asked & {name, f"nasplug-{name}"}) or (run / f"{name}.json").is_file()
