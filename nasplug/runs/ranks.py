"""One run by several processes that torchrun has started.

The leading rank carries out the run as a process alone does: it decides, measures, writes and shows. The others wait
until it begins a training, and join: they build the same trainer, take over its state, and make every step with it, on
their share of each batch. So what depends on a disk, a clock or a terminal is decided once, and only trainings meet.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import torch
from torch import distributed

from nasplug.engine import Trainer
from nasplug.engine.ranks import ALONE, RankLost, Ranks
from nasplug.errors import RunFailure
from nasplug.plugins import Plugins
from nasplug.runs.context import RunContext, reopen_context
from nasplug.runs.signals import Signals
from nasplug.store.checkpoint import capture_state, restore_state
from nasplug.store.run_folder import RunFolder
from nasplug.values import Step
from nasplug.values.torchrun import count_local_ranks, count_ranks, local_rank

PATIENCE = timedelta(days=30)
"""How long a rank waits for the others: the leading one may be measuring, or writing a report."""
END = 1 << 10
"""What the leading rank says when it breaks off a training; more than the number of any signal."""


class JointTraining(Protocol):
    """What another rank has to know of a training, to join it. It is sent as a pickle."""

    def make_trainer(self, context: RunContext, searched: Trainer | None) -> Trainer:
        """The trainer as the leading rank has built it; `searched` is that of the search, if one was joined before."""


@contextmanager
def rank_group() -> Iterator[Ranks]:
    """The ranks that torchrun has started, connected inside the block; then the leading one dismisses the others.

    Tensors of a CPU are exchanged by gloo, those of CUDA devices, of which each rank takes that of its number on its
    machine, by NCCL. Without torchrun there is one rank, and nothing is done.
    """
    if count_ranks() == 1:
        yield ALONE
        return
    backend = "gloo"
    if torch.cuda.device_count() >= count_local_ranks():  # else a run on CUDA is refused when its recipe is known
        backend = "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(local_rank())
    distributed.init_process_group(backend, timeout=PATIENCE)
    ranks = Ranks.of_group()
    try:
        yield ranks
    finally:
        if distributed.is_initialized():
            if ranks.leads:
                with suppress(RankLost):
                    ranks.broadcast(None)
            distributed.destroy_process_group()


def lead(
    context: RunContext, trainer: Trainer, training: JointTraining | None, steps: Iterator[Sequence[Step]]
) -> Generator[Sequence[Step], None, None]:
    """The steps of a training that the other ranks join, which begins with the present state of `trainer`.

    If another rank was sent a signal, the steps end, and it is as if this one had received it.
    """
    if training is None:
        raise TypeError(f"nobody else could join the phase '{trainer.name}'")
    context.ranks.broadcast(training)
    context.ranks.broadcast(capture_state(trainer))
    yield from _make_together(context.ranks, steps, lambda: 0)


def follow(ranks: Ranks, find_plugins: Callable[[], Plugins], signals: Signals) -> None:
    """Joins every training of the run that the leading rank carries out, until it has no more.

    Raises RunFailure if that rank, or another one, is lost.
    """
    path = ranks.broadcast()
    if path is None:
        return
    context = reopen_context(RunFolder(Path(path)), find_plugins(), ranks)
    set_threads(context)
    searched: Trainer | None = None
    try:
        with signals.watching():
            while (training := ranks.broadcast()) is not None:
                trainer = training.make_trainer(context, searched)
                restore_state(trainer, *ranks.broadcast())
                steps = context.device_options.runner().run(trainer)
                for _ in _make_together(ranks, steps, lambda: 0 if signals.received is None else int(signals.received)):
                    pass
                if trainer.name == "search":
                    searched = trainer
    except RankLost as lost:
        raise RunFailure(f"{lost} Go on with: {context.resume_hint}") from lost


def announce(context: RunContext) -> None:
    """Tells the other ranks, if there are any, which run this is; what they need of it is in its folder."""
    if context.ranks.several:
        context.ranks.broadcast(str(context.folder.path.absolute()))


def set_threads(context: RunContext) -> None:
    """Gives this process its threads; ranks on one machine share those of the run."""
    torch.set_num_threads(max(1, context.recipe.run.threads // count_local_ranks()))


def _make_together(ranks: Ranks, steps: Iterator[Sequence[Step]], stop: Callable[[], int]) -> Iterator[Sequence[Step]]:
    """Steps, each of which all ranks begin together unless one says that it stops, by a number above 0.

    If the caller closes this iterator, all ranks end. The same happens, with an error, if a step fails on one of them.
    """
    while True:
        if (asked := ranks.largest(stop())) > 0:
            if ranks.leads:
                signal.raise_signal(asked)
            return
        try:
            made = next(steps)
        except StopIteration:
            return
        except BaseException:
            distributed.destroy_process_group()  # the others are in the middle of the step
            raise
        try:
            yield made
        except GeneratorExit:
            ranks.largest(END)
            raise
