"""A tiny search in memory, with everything that checks want to see of it."""

from __future__ import annotations

import json
import random
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from nasplug.data import BatchStream, divide, sequential_batches
from nasplug.engine import Runner, Trainer, measure_errors, train
from nasplug.engine.assembly import assemble_search, search_splits
from nasplug.engine.further_work import RecordedWork
from nasplug.engine.plain.fixed import Fixed
from nasplug.engine.plain.keep import Keep
from nasplug.engine.plain.labels import LabelStage
from nasplug.errors import InputError
from nasplug.parts import Batch, ImageData, Network, SearchSpace, SearchState, Supernet
from nasplug.store.checkpoint import load_checkpoint, save_checkpoint
from nasplug.store.files import read_tensors
from nasplug.testing.case import Case
from nasplug.testing.companion_parts import Parts, plan
from nasplug.testing.outcome import Failed
from nasplug.testing.toy import BEST, stripes
from nasplug.values import Budget, Evaluated, Event, Found, Genotype, ImageShape, Progress, Rated, Step, Training
from nasplug.values.seeds import derive_seed

IMAGES = 32
LESSONS = 30
MEAN, STD = (0.5, 0.5), (0.25, 0.25)
CPU = torch.device("cpu")

Decision = Found | Rated | Evaluated


class Watched(BatchStream):
    """A stream that knows which steps it was asked for."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.asked: list[int] = []

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        self.asked.append(step)
        return super().batch(step)


@attrs.define(eq=False)
class TinySearch:
    """One search: its parts, what it trains and what it has reported."""

    parts: Parts
    seed: int
    data: ImageData
    teacher: Network | None
    trainer: Trainer | None
    """None where no supernet is trained."""
    steps: list[Step] = attrs.field(factory=list)
    kept: list[Tensor] = attrs.field(factory=list)
    """The candidates left before the first step, and after each step."""
    decided: list[Decision] = attrs.field(factory=list)
    generators: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})
    """The state of each global generator before and after the search, for what records it."""

    @property
    def shape(self) -> ImageShape:
        """The form of images and answers."""
        return ImageShape(self.data.channels, self.data.size, len(self.data.classes), MEAN, STD, self.data.dims)

    @property
    def net(self) -> Supernet:
        """The supernet, where there is one."""
        if self.trainer is None or not isinstance(self.trainer.net, Supernet):
            raise TypeError("this search trains no supernet")
        return self.trainer.net

    @property
    def events(self) -> list[Event]:
        """Everything reported so far."""
        return [*self.steps, *self.decided]

    def records(self) -> list[str]:
        """Every event as its line of JSON."""
        return [json.dumps(event.record(), default=repr) for event in self.events]

    def train(self, limit: int | None = None, runner: Runner | None = None) -> None:
        """Trains to the end, or until `limit` steps are made in all; eagerly, unless a runner is given."""
        if self.trainer is None:
            return
        if not self.kept:
            self.kept.append(self.trainer.choices.kept.clone())
        for step in train(self.trainer, runner):
            self.steps.append(step)
            self.kept.append(self.trainer.choices.kept.clone())
            if len(self.steps) == limit:
                return

    def decide(self, on_record: Sequence[Decision] = ()) -> list[Decision]:
        """What the selector reports, with ratings and evaluations on record left out."""
        selection = self.parts.selector.select(self.search_state(on_record))
        return [event for event in selection if not isinstance(event, Progress)]

    def search_state(self, on_record: Sequence[Decision] = ()) -> SearchState:
        """What the search has come to."""
        net = None if self.trainer is None else self.net
        return SearchState(
            space=self.parts.space,
            shape=self.shape,
            net=net,
            snapshots=[step for step in self.steps if step.snapshot is not None],
            images=self._images,
            seed=derive_seed(self.seed, "decide"),
            raters=[]
            if net is None or self.trainer is None
            else [r for s in self.trainer.stages for r in s.raters(net)],
            rated=[event for event in on_record if isinstance(event, Rated)],
            optimizer=self.parts.optimizer,
            weights_split="train" if self.trainer is None else self.trainer.weights_split,
            work=self._work(on_record),
        )

    def streams(self, phase: str, training: Training) -> dict[str, Watched]:
        """Batches of every split for one phase."""
        return {
            split: Watched(
                self.data.train,
                indices,
                training=training,
                mean=MEAN,
                std=STD,
                flips=self.data.flips,
                shift=self.data.shift,
                dims=self.data.dims,
                seed=self.seed,
                phase=phase,
                split=split,
                device=CPU,
            )
            for split, indices in self.shares().items()
        }

    def shares(self) -> dict[str, npt.NDArray[np.int64]]:
        """Indices of the images of every split."""
        return divide(np.arange(len(self.data.train)), search_splits(self.parts), self.seed)

    def _work(self, on_record: Sequence[Decision]) -> RecordedWork:
        """Further work in memory, which nothing stops."""

        def carry_out(trainer: Trainer) -> Iterator[Progress]:
            trainer.begin(torch.Generator())
            for step in train(trainer):
                yield Progress(trainer.name, step.step, trainer.steps)

        def train_network(phase: str, genotype: Genotype, epochs: int, split: str) -> Generator[Progress, None, float]:
            with torch.random.fork_rng():
                torch.manual_seed(derive_seed(self.seed, phase))
                net = self.parts.space.network(genotype, self.shape)
            training = attrs.evolve(self.parts.training, epochs=epochs)
            streams = {"train": self.streams(phase, training)[self.search_state().weights_split]}
            yield from carry_out(Trainer(phase, net, Fixed(), Keep(), [LabelStage()], training, streams, CPU))
            return measure_errors(net, self._images(split, len(self.data.train))).rate

        def train_networks(
            trials: Mapping[str, Genotype], epochs: int, split: str, budget: Budget
        ) -> Generator[Progress, None, list[float | None]]:
            errors: list[float | None] = []
            for phase, genotype in trials.items():
                kept = self.search_state().cost_model.is_within(genotype, budget)
                errors.append((yield from train_network(phase, genotype, epochs, split)) if kept else None)
            return errors

        evaluated = [event for event in on_record if isinstance(event, Evaluated)]
        return RecordedWork(self.trainer, self.streams, carry_out, train_networks, evaluated)

    def state(self) -> dict[str, Tensor]:
        """Every tensor that a checkpoint of this moment holds."""
        return {} if self.trainer is None else self._saved()[0]

    def facts(self) -> dict[str, Any]:
        """The state of the parts in a checkpoint of this moment."""
        return {} if self.trainer is None else {name: self._saved()[1][name] for name in ("optimizer", "schedule")}

    def save(self, path: Path) -> None:
        """Writes a checkpoint."""
        if self.trainer is not None:
            save_checkpoint(path, self.trainer, len(self.steps), 0.0)

    def load(self, path: Path) -> None:
        """Takes a checkpoint over, into a search that has not begun."""
        if self.trainer is not None:
            load_checkpoint(path, self.trainer)

    def _saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "checkpoint.safetensors"
            self.save(path)
            return read_tensors(path, "checkpoint")

    def _images(self, split: str, count: int) -> Iterator[Batch]:
        return sequential_batches(self.data.train, self.shares()[split][:count], 16, MEAN, STD, CPU)


def prepare(
    parts: Parts, seed: int, data: ImageData | None = None, weights: int | None = None, taught: bool = False
) -> TinySearch:
    """A search with these parts that is ready to begin or to load a checkpoint.

    `weights` is the seed of the initial weights where it is not that of the search. A teacher's network keeps its
    initial weights, or with `taught`, in the toy space, it is one that can learn the images and has.
    """
    data = data or stripes(IMAGES)
    trial = TinySearch(parts, seed, data, None, None)
    if not parts.optimizer.trains:
        return trial
    torch.manual_seed(derive_seed(seed, "teacher"))
    asked = parts.teacher.network(parts.space, Random(derive_seed(seed, "teacher")))
    if asked is not None:
        space, genotype = asked
        if taught:
            genotype = space.parse(" ".join([BEST] * len(genotype.places)))
        trial.teacher = space.network(genotype, trial.shape).eval()
        if taught:
            _teach(trial.teacher, data)
    torch.manual_seed(derive_seed(seed if weights is None else weights, "weights"))
    net = parts.space.supernet(trial.shape)
    streams = trial.streams("search", parts.training)
    trial.trainer = assemble_search(
        parts, net, trial.shape, parts.training, streams, CPU, teacher=trial.teacher, seed=seed
    )
    return trial


def begin(parts: Parts, seed: int, data: ImageData | None = None, taught: bool = False) -> TinySearch:
    """A search with these parts that has begun, and made no step."""
    trial = prepare(parts, seed, data, taught=taught)
    if trial.trainer is not None:
        trial.trainer.begin(torch.Generator().manual_seed(derive_seed(seed, "alpha")))
    return trial


def whole(case: Case) -> TinySearch:
    """A search from its beginning to its end and the decision, with the thing under check in its place."""
    trial = begin(case.once(plan).parts(), seed=0)
    before = global_generators()
    trial.train()
    trial.decided = trial.decide()
    trial.generators = before, global_generators()
    return trial


def halfway(case: Case) -> TinySearch:
    """A little more than the first half of the same search, with other parts; without steps, its decision."""
    steps = len(case.once(whole).steps)
    trial = begin(case.once(plan).parts(), seed=0)
    trial.train(steps // 2 + 1)
    if trial.trainer is None:
        trial.decided = trial.decide()
    return trial


def global_generators() -> dict[str, str]:
    """The state of the generators that belong to the process."""
    return {
        "Python": repr(random.getstate()),
        "NumPy": repr(np.random.get_state()),
        "torch": repr(torch.get_rng_state().tolist()),
    }


def _teach(net: Network, data: ImageData) -> None:
    """Trains a network on all images at once, as much as it needs to guide others."""
    (batch,) = sequential_batches(data.train, np.arange(len(data.train)), len(data.train), MEAN, STD, CPU)
    torch_optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    net.train()
    for _ in range(LESSONS):
        torch_optimizer.zero_grad()
        F.cross_entropy(net(batch.images), batch.labels).backward()
        torch_optimizer.step()
    net.eval()


def require_of_space(space: SearchSpace, found: Iterable[Found]) -> None:
    """Raises Failed if the space refuses an architecture that was found."""
    for event in found:
        try:
            space.check(event.genotype)
        except InputError as error:
            raise Failed(
                f"it finds an architecture that the space refuses: {error}", "decode with the space, or take its paths"
            ) from error
