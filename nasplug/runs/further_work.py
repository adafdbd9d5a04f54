"""Further work of a selector in a run: its trainings are phases, each with a checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Mapping

import attrs
import numpy as np

from nasplug.engine import Trainer
from nasplug.engine.further_work import FINE_TUNING, TRIAL, RecordedWork
from nasplug.engine.trainer import Stream
from nasplug.errors import InputError
from nasplug.runs.context import RunContext
from nasplug.runs.distillation import retraining_teacher
from nasplug.runs.retrain import make_network_trainer, train_network
from nasplug.runs.retrain_size import retrain_models
from nasplug.runs.signals import ShouldStop
from nasplug.runs.training import run_training
from nasplug.store.events import Journal, read_events
from nasplug.store.networks import PlannedNetwork
from nasplug.store.run_folder import RunFolder
from nasplug.values import Evaluated, Genotype, Progress, Training


def make_further_work(
    context: RunContext, trainer: Trainer | None, journal: Journal, should_stop: ShouldStop
) -> RecordedWork:
    """The work that a selector can ask for after the search of `trainer`."""
    shares = context.shares()

    def make_streams(phase: str, training: Training) -> Mapping[str, Stream]:
        return {name: context.stream(phase, name, indices, training) for name, indices in shares.items()}

    def train_alone(phase: str, genotype: Genotype, epochs: int, split: str) -> Generator[Progress, None, float]:
        if context.folder.done(phase) is None:
            held_out = shares[split]
            splits = attrs.evolve(
                context.splits, train=np.setdiff1d(context.splits.train, held_out), validation=held_out
            )
            space, training = retrain_models(context)[0].space, context.recipe.retrain.with_epochs(epochs)
            plan = PlannedNetwork.found(space, genotype, context.shape)
            teacher = retraining_teacher(context)
            alone = make_network_trainer(context, phase, space, plan, training, splits, teacher)
            yield from train_network(context, alone, splits, None, journal, should_stop)
        return float((context.folder.done(phase) or {})["val_error"])

    return RecordedWork(
        trainer=trainer,
        make_streams=make_streams,
        carry_out=lambda further: run_training(context, further, journal, should_stop),
        train_network=train_alone,
        on_record=_read_evaluations(context.folder),
    )


def discard_further_work(context: RunContext) -> None:
    """Removes what a selection that is finished needs no more."""
    for phase in (FINE_TUNING, TRIAL):
        shutil.rmtree(context.folder.phase(phase), ignore_errors=True)


def _read_evaluations(folder: RunFolder) -> list[Evaluated]:
    names = [field.name for field in attrs.fields(Evaluated)]
    try:
        return [
            Evaluated(**{name: event[name] for name in names})
            for event in read_events(folder.events)
            if event["event"] == "evaluated"
        ]
    except KeyError as error:
        raise InputError(
            f"An evaluation in '{folder.events}' is damaged (it lacks {error}); restore the file."
        ) from error
