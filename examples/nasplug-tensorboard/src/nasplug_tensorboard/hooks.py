"""The hooks of this plugin. TensorBoard is imported only when there is an event, so that listing plugins stays fast."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nasplug.hookspecs import hookimpl


@hookimpl
def nasplug_event(run: Path, event: Mapping[str, Any]) -> None:
    """Writes the event to the folder `tensorboard` of the run."""
    from nasplug_tensorboard.recording import recorder

    recorder().record(run, event)


@hookimpl
def nasplug_end(run: Path) -> None:
    """Closes the files of the run."""
    from nasplug_tensorboard.recording import recorder

    recorder().close(run)
