"""The hooks of this plugin. W&B is imported only where a run is shown in it, so that listing plugins stays fast."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nasplug.hookspecs import hookimpl
from nasplug.tracking import Tracker, finish, follow

NAME = "wandb"


@hookimpl
def nasplug_event(run: Path, event: Mapping[str, Any]) -> None:
    """Brings the event to W&B, if that is asked for."""
    follow(run, event, NAME, make_tracker)


@hookimpl
def nasplug_end(run: Path) -> None:
    """Brings the result to W&B, if that is asked for."""
    finish(run, NAME, make_tracker)


def make_tracker() -> Tracker:
    """The connection of one run to W&B."""
    from nasplug_wandb.tracker import WandbTracker

    return WandbTracker()
