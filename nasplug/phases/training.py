"""Training one phase with its effects: events, checkpoints, stopping."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import torch

from nasplug.checkpoint import load_checkpoint, read_tensors, save_checkpoint
from nasplug.engine import Phase, settled
from nasplug.errors import RunFailure
from nasplug.phases.journal import Journal
from nasplug.phases.stopping import Stop
from nasplug.phases.study import Study
from nasplug.values import Step

if sys.platform != "win32":
    import resource


@attrs.frozen
class Progress:
    """How far a phase is."""

    phase: str
    done: int
    total: int
    """Steps of the whole phase; 0 where there is nothing to count."""
    text: str = ""


class Stopped(Exception):
    """A phase saved its state and ended because it was asked to; the run turns this into the way to go on."""


def carry_out(study: Study, phase: Phase, journal: Journal, stop: Stop) -> Iterator[Progress]:
    """Trains `phase` to its end, from its checkpoint if there is one.

    Raises Stopped after saving, if `stop` says so, and RunFailure if the loss is not finite or the disk is full; the
    last good checkpoint is kept in any case.
    """
    path = study.folder.checkpoint(phase.name)
    worked = 0.0
    if path.exists():
        count, worked = load_checkpoint(path, phase)
        if not phase.over:  # what was decided after the training does not happen again
            journal.cut(count)
    else:
        journal.drop(phase.name)
        phase.begin(torch.Generator().manual_seed(study.seed(phase.name, "alpha")))
    started = saved = time.monotonic()
    interval = study.recipe.run.checkpoint_seconds

    def save() -> None:
        phase.prune()
        with _way_out(study, phase):
            save_checkpoint(path, phase, journal.count, worked + time.monotonic() - started)

    for events in settled(phase):
        for event in events:
            _check(event, phase, study)
            with _way_out(study, phase):
                journal.append(phase.name, event.record())
        if (halt := stop()) or time.monotonic() - saved >= interval:
            save()
            saved = time.monotonic()
        if halt:
            raise Stopped
        try:
            for event in events:
                yield Progress(phase.name, phase.steps_done, phase.steps, _words(event, phase))
        except GeneratorExit:  # whoever watched has left
            save()
            raise
    save()
    if phase.replays is not None:
        phase.replays.forget()


@contextmanager
def _way_out(study: Study, phase: Phase) -> Iterator[None]:
    """Says how to go on when something cannot be written."""
    try:
        yield
    except RunFailure as error:
        way = f"Free some space, then go on with: {study.way_on}"
        if not study.folder.path.is_dir():
            way = "The run folder was removed; start the run anew."
        raise RunFailure(f"Phase '{phase.name}' broke off at step {phase.steps_done}: {error} {way}") from error


@contextmanager
def more_work(study: Study, phase: Phase, journal: Journal) -> Iterator[None]:
    """Counts what is done in the block as work of a phase whose training is over, also where it stops half-way."""
    path = study.folder.checkpoint(phase.name)
    _, facts = read_tensors(path, "checkpoint")
    started = time.monotonic()

    def save() -> None:
        save_checkpoint(path, phase, journal.count, facts["seconds"] + time.monotonic() - started)

    try:
        yield
    except (Stopped, GeneratorExit):
        save()
        raise
    save()


def cost_record(study: Study, phase: str) -> dict[str, float | int | str]:
    """What a finished phase took: seconds (from its checkpoint), peak memory of the process or device, device."""
    _, facts = read_tensors(study.folder.checkpoint(phase), "checkpoint")
    peak = peak_memory(study.device)
    return {"seconds": round(facts["seconds"], 3), "peak_memory_bytes": peak, "device": str(study.device)}


def no_cost(study: Study) -> dict[str, float | int | str]:
    """The cost of a phase in which nothing was trained."""
    return {"seconds": 0.0, "peak_memory_bytes": 0, "device": str(study.device)}


def peak_memory(device: torch.device) -> int:
    """The most bytes that the device, or on a CPU this process, has held so far; 0 where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # Linux counts in KiB


def _check(event: Step, phase: Phase, study: Study) -> None:
    if not math.isfinite(event.loss):
        raise RunFailure(
            f"The loss of phase '{phase.name}' became {event.loss} at step {event.step}. The checkpoint before it is "
            f"kept in '{study.folder.phase(phase.name)}'. A lower learning rate may help: start again with "
            f"--set {'search' if phase.name == 'search' else 'retrain'}.lr={phase.training.lr / 4:g}."
        )


def _words(event: Step, phase: Phase) -> str:
    alive = f", {event.measures['alive']:.0f} operations alive" if "alive" in event.measures else ""
    replays = f", {phase.replays}" if phase.replays is not None and str(phase.replays) else ""
    return f"epoch {event.epoch + 1}, loss {event.loss:.3f}{alive}{replays}"
