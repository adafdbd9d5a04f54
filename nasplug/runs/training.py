"""Training one phase with its effects on disk: events, checkpoints, stopping."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import torch

from nasplug.engine import Runner, Trainer
from nasplug.engine.finite import find_nonfinite
from nasplug.engine.further_work import FINE_TUNING
from nasplug.engine.ranks import RankLost
from nasplug.errors import RunFailure
from nasplug.plugins.hook_calls import note
from nasplug.runs.collapse import CollapseGuard
from nasplug.runs.context import RunContext
from nasplug.runs.ranks import JointTraining, lead
from nasplug.runs.signals import ShouldStop
from nasplug.store.checkpoint import load_checkpoint, record_work, save_checkpoint
from nasplug.store.events import Journal, read_events, require_entries
from nasplug.store.files import read_tensors
from nasplug.values import Figure, Progress, Step

if sys.platform != "win32":
    import resource


class Diverged(RunFailure):
    """A training whose loss, weights or answers became NaN or infinite."""


class Stopped(Exception):
    """A phase saved its state and ended because it was asked to; the pipeline turns this into Interrupted."""


def run_training(
    context: RunContext,
    trainer: Trainer,
    joint: JointTraining | None,
    journal: Journal,
    should_stop: ShouldStop,
    runner: Runner | None = None,
    guard: CollapseGuard | None = None,
) -> Iterator[Progress]:
    """Trains to the end, from the checkpoint of the phase if there is one, with events, checkpoints and progress.

    Raises Stopped after saving, if `should_stop` says so, Diverged if the loss or a weight is not finite, and
    RunFailure if alpha is not or the disk is full; the last good checkpoint is kept in any case. Weights and alpha are
    looked at after every epoch and before every checkpoint: the loss of a step is that before its update, so no loss
    shows the last one. What `guard` warns of, if there is one, becomes an event and a line on stderr. Other ranks, if
    there are any, build their trainers by `joint`; raises RunFailure if one of them is lost.
    """
    runner = context.device_options.runner() if runner is None else runner
    path = context.folder.checkpoint(trainer.name)
    worked = 0.0
    if path.exists():
        count, worked = load_checkpoint(path, trainer)
        if not trainer.over:  # what was decided after the training does not happen again
            journal.cut(count)
            _catch_up(guard, journal, trainer.name)
    else:
        journal.drop(trainer.name)
        trainer.begin(torch.Generator().manual_seed(context.seed(trainer.name, "alpha")))
    started = saved = time.monotonic()
    images = 0
    interval = context.recipe.run.checkpoint_seconds

    def save() -> None:
        trainer.prune()
        _check_state(trainer, context)
        journal.sync()
        with _with_remedy(context, trainer):
            save_checkpoint(path, trainer, journal.count, worked + time.monotonic() - started)

    with _joined(context, trainer, joint, runner.run(trainer)) as steps:
        for events in steps:
            images += len(events) * trainer.images_per_step
            # The clock of some systems stands still for as long as a short step.
            rate = images / max(time.monotonic() - started, 1e-3)
            for event in events:
                _check(event, trainer, context)
                with _with_remedy(context, trainer):
                    journal.append(trainer.name, event.record())
                    _warn(guard, event, journal, trainer.name, last=trainer.over and event is events[-1])
            if trainer.step % trainer.clock.steps_per_epoch == 0:
                _check_state(trainer, context)
            if (halt := should_stop()) or time.monotonic() - saved >= interval:
                save()
                saved = time.monotonic()
            if halt:
                raise Stopped
            try:
                for event in events:
                    text = _describe(
                        event, trainer.schedule.figures, runner, f"{rate:,.0f} {context.data.input_word}s/s"
                    )
                    yield Progress(trainer.name, trainer.steps_done, trainer.steps, text)
            except GeneratorExit:  # the caller closed this iterator
                save()
                raise
    save()
    if not trainer.over:  # because another rank was asked to stop
        raise Stopped


@contextmanager
def _joined(
    context: RunContext, trainer: Trainer, joint: JointTraining | None, steps: Iterator[Sequence[Step]]
) -> Iterator[Iterator[Sequence[Step]]]:
    """The steps as they are, or, with several ranks, made by all of them; says how to go on if one is lost."""
    if not context.ranks.several:
        yield steps
        return
    try:
        with closing(lead(context, trainer, joint, steps)) as together:
            yield together
    except RankLost as lost:
        raise RunFailure(
            f"Phase '{trainer.name}' broke off at step {trainer.steps_done}: {lost} Go on with: {context.resume_hint}"
        ) from lost


def _catch_up(guard: CollapseGuard | None, journal: Journal, phase: str) -> None:
    """Shows the guard what a phase that goes on has recorded before."""
    if guard is not None:
        for event in read_events(journal.path):
            if event["phase"] == phase and event["event"] == "step":
                require_entries(event, ("step", "epoch"), journal.path)
                guard.read(event)


def _warn(guard: CollapseGuard | None, event: Step, journal: Journal, phase: str, *, last: bool) -> None:
    """Records and says what the guard warns of after a step; `last` is true for the last step of the phase."""
    if guard is not None:
        for warning in guard.read(event.record(), last=last):
            journal.append(phase, warning.record())
            note(f"Note: {warning.text}")


@contextmanager
def _with_remedy(context: RunContext, trainer: Trainer) -> Iterator[None]:
    """Says how to go on when something cannot be written."""
    try:
        yield
    except RunFailure as error:
        way = f"Free some space, then go on with: {context.resume_hint}"
        if not context.folder.path.is_dir():
            way = "The run folder was removed; start the run again."
        raise RunFailure(f"Phase '{trainer.name}' broke off at step {trainer.steps_done}: {error} {way}") from error


@contextmanager
def count_further_work(context: RunContext, phase: str, journal: Journal) -> Iterator[None]:
    """Counts what is done in the block as work of a phase whose training is over, also where it stops half-way.

    The checkpoint of the phase stays that of the end of its training, whatever happens to the network in the block.
    """
    path = context.folder.checkpoint(phase)
    _, facts = read_tensors(path, "checkpoint")
    started = time.monotonic()

    def save() -> None:
        record_work(path, journal.count, facts["seconds"] + time.monotonic() - started)

    try:
        yield
    except (Stopped, GeneratorExit):
        save()
        raise
    save()


def cost_record(context: RunContext, phase: str) -> dict[str, float | int | str]:
    """What a finished phase took: seconds (from its checkpoint), peak memory of the process or device, device."""
    _, facts = read_tensors(context.folder.checkpoint(phase), "checkpoint")
    peak = peak_memory(context.device)
    return {"seconds": round(facts["seconds"], 3), "peak_memory_bytes": peak, "device": str(context.device)}


def no_cost(context: RunContext) -> dict[str, float | int | str]:
    """The cost of a phase in which nothing was trained."""
    return {"seconds": 0.0, "peak_memory_bytes": 0, "device": str(context.device)}


def peak_memory(device: torch.device) -> int:
    """The most bytes that the device, or on a CPU this process, has held so far; 0 where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # Linux counts in KiB


def lower_rate(context: RunContext, name: str, lr: float) -> str:
    """What may help a phase that has diverged, and what is left of it, in two sentences."""
    fine_tuned = name == "teacher" and context.folder.pretrained_teacher.exists()
    is_search = name.partition("/")[0] in ("search", FINE_TUNING)
    option = "run.teacher_lr" if fine_tuned else "search.lr" if is_search else "retrain.lr"
    return (
        f"The last good checkpoint, if there was one, is kept in '{context.folder.phase(name)}'. A lower learning rate "
        f"may help: start again with --set {option}={lr / 4:g}."
    )


def _check(event: Step, trainer: Trainer, context: RunContext) -> None:
    if not math.isfinite(event.loss):
        raise Diverged(
            f"The loss of phase '{trainer.name}' became {event.loss} at step {event.step}. "
            f"{lower_rate(context, trainer.name, trainer.training.lr)}"
        )


def _check_state(trainer: Trainer, context: RunContext) -> None:
    """Raises RunFailure if something that the training has led to is not finite."""
    states = [("", trainer.net.state_dict())]
    states += [(f"stage {number}: ", stage.state_dict()) for number, stage in enumerate(trainer.stages)]
    broken = find_nonfinite({f"{prefix}{name}": tensor for prefix, state in states for name, tensor in state.items()})
    if broken is None:
        return
    place = f"of phase '{trainer.name}' after step {trainer.steps_done}"
    if broken == "choices.alpha":
        parts = context.recipe.parts
        raise RunFailure(
            f"The architecture parameters (alpha) {place} hold NaN or infinity, from which no architecture can be "
            f"read, although every loss was finite. They are changed by the optimizer '{parts['optimizer'].name}' and "
            f"the schedule '{parts['schedule'].name}': lower their rates, or tell their author. The last good "
            f"checkpoint, if there was one, is kept in '{context.folder.phase(trainer.name)}'."
        )
    raise Diverged(
        f"The network {place} is of no use: '{broken}' holds NaN or infinity. "
        f"{lower_rate(context, trainer.name, trainer.training.lr)}"
    )


def _describe(event: Step, figures: Sequence[Figure], runner: Runner, speed: str) -> str:
    """A step in words for a line of progress: epoch, loss, the figures that the schedule declares, and the speed."""
    values = [
        figure.progress.format(event.measures[figure.name])
        for figure in figures
        if figure.progress is not None and figure.name in event.measures
    ]
    return ", ".join(
        filter(None, [f"epoch {event.epoch + 1}", f"loss {event.loss:.3f}", *values, speed, runner.status])
    )
