"""What a search takes besides its bare steps: data, engine, events, checkpoints and progress."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from statistics import median

import attrs
import torch

from nasplug.bench.timing import synchronize, time_step
from nasplug.compose import compose
from nasplug.engine import Runner, Stream, Trainer
from nasplug.engine.ahead.cuda_graphs import CudaGraphRecorder, GraphCache, Recorder
from nasplug.engine.ahead.runner import AheadRunner
from nasplug.errors import InputError
from nasplug.parts import Batch
from nasplug.runs.context import RunContext
from nasplug.runs.search import begin_search, stand_in_teacher
from nasplug.runs.training import run_training
from nasplug.store.events import Journal, ignore_event
from nasplug.store.run_folder import RunFolder
from nasplug.values import Progress

CHUNK = 5
"""Steps between two looks at the clock, at least, and before the first."""


@attrs.frozen
class LoopCost:
    """Where the time of a search step goes."""

    seconds_per_step: float
    bare_seconds_per_step: float
    """Of the step alone: losses, gradients, optimizers and schedule, on batches that lie ready."""
    ready_seconds_per_step: float
    """Of all but data: the search as a run carries it out, on batches that lie ready."""
    data_seconds_per_step: float
    """What it takes to make the batches of a step, if nothing else is computed meanwhile."""

    @property
    def overhead(self) -> float:
        """What engine, events, checkpoints and progress add, as a share of the bare step."""
        return self.ready_seconds_per_step / self.bare_seconds_per_step - 1

    @property
    def data_share(self) -> float:
        """The share of a step that goes into data, at most: on a GPU some of it passes beside other work."""
        return self.data_seconds_per_step / self.seconds_per_step


@attrs.define(eq=False)
class _Timed:
    """A stream that counts the seconds that its batches take."""

    stream: Stream
    device: torch.device
    seconds: float = 0.0

    @property
    def steps_per_epoch(self) -> int:
        return self.stream.steps_per_epoch

    @property
    def batch_size(self) -> int:
        return self.stream.batch_size

    def batch(self, step: int) -> Batch:
        synchronize(self.device)
        started = time.perf_counter()
        batch = self.stream.batch(step)
        synchronize(self.device)
        self.seconds += time.perf_counter() - started
        return batch


@attrs.frozen(eq=False)
class _Ready:
    """A stream whose batches are all the same one, which lies ready."""

    ready: Batch
    steps_per_epoch: int
    batch_size: int

    @classmethod
    def of(cls, stream: Stream) -> _Ready:
        return cls(stream.batch(0), stream.steps_per_epoch, stream.batch_size)

    def batch(self, step: int) -> Batch:
        return self.ready


def loop_cost(context: RunContext, repeats: int) -> LoopCost:
    """Measures the search of a run that was started, on its own data, in turns with its bare steps.

    Each way trains a supernet of its own from the same start. Measuring data takes a look at the device before and
    after each batch, so it is done apart.
    """
    # One memory for the graphs of all: they take turns.
    recorder = CudaGraphRecorder(context.device) if context.device_options.cuda_graphs else None
    whole, watched, ready, bare = (_Twin.of(context, name, recorder) for name in ("whole", "watched", "ready", "bare"))
    for twin in (ready, bare):
        twin.trainer.streams = {name: _Ready.of(stream) for name, stream in twin.trainer.streams.items()}
    streams = {name: _Timed(stream, context.device) for name, stream in watched.trainer.streams.items()}
    watched.trainer.streams = streams
    ways = {"whole": whole.search(), "watched": watched.search(), "ready": ready.search(), "bare": bare.steps()}
    poll = min(context.device_options.poll, bare.trainer.clock.steps_per_epoch)
    chunk = poll * -(-CHUNK // poll)  # a search gives its steps in groups of `poll`
    for going in ways.values():
        _take(going, chunk)
    for stream in streams.values():
        stream.seconds = 0.0
    taken: dict[str, list[float]] = {"whole": [], "ready": [], "bare": []}
    for _ in range(repeats):
        for name, seconds in taken.items():
            seconds.append(time_step(partial(_take, ways[name], chunk), context.device) / chunk)
        _take(ways["watched"], chunk)
    data = sum(stream.seconds for stream in streams.values()) / (repeats * chunk)
    return LoopCost(median(taken["whole"]), median(taken["bare"]), median(taken["ready"]), data)


@attrs.frozen(eq=False)
class _Twin:
    """The search of a run, with parts and a folder of its own."""

    context: RunContext
    trainer: Trainer
    runner: Runner

    @classmethod
    def of(cls, context: RunContext, name: str, recorder: Recorder | None) -> _Twin:
        folder = RunFolder(context.folder.path / name)
        folder.path.mkdir()
        own = attrs.evolve(context, folder=folder, composition=compose(context.plugins, context.recipe))
        trainer = begin_search(own, lambda _, net: stand_in_teacher(context, net))
        trainer.measure = None  # measurements of flatness come at the ends of some epochs: they are no part of a step
        runner = context.device_options.runner()
        if isinstance(runner, AheadRunner):
            runner.graph_cache = None if recorder is None else GraphCache(recorder)
        return cls(own, trainer, runner)

    def search(self) -> Iterator[Progress]:
        """The search as a run carries it out."""
        journal = Journal(self.context.folder.events, ignore_event)
        return run_training(self.context, self.trainer, None, journal, lambda: False, self.runner)

    def steps(self) -> Iterator[None]:
        """The steps of the first stage and nothing else: their figures are never read."""
        trainer = self.trainer
        trainer.begin(torch.Generator().manual_seed(self.context.seed("search", "alpha")))
        poll, replays = self.context.device_options.poll, self.context.device_options.cuda_graphs
        for now in trainer.clock.since(0):
            self.runner.make_step(trainer, now)
            if not replays and (now.step + 1) % poll == 0:
                trainer.prune()
            yield


def _take(going: Iterator[object], count: int) -> None:
    if sum(1 for _ in islice(going, count)) < count:
        raise InputError("The search ended before it was measured; set a larger search.epochs or fewer repeats.")
