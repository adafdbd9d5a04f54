"""Further work of a selector in a run: its trainings are phases, each with a checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Mapping
from functools import partial
from typing import Self

import attrs
from torch import Tensor

from nasplug.engine import Trainer
from nasplug.engine.further_work import FINE_TUNING, TRIAL, RecordedWork, make_further_trainer
from nasplug.engine.trainer import Stream
from nasplug.errors import InputError
from nasplug.runs.context import RunContext
from nasplug.runs.measuring import plan_within, with_measures_of
from nasplug.runs.signals import ShouldStop
from nasplug.runs.training import no_cost, run_training
from nasplug.runs.training_task import TrainingTask
from nasplug.runs.validation import read_validation
from nasplug.runs.workers import journal_path, train_networks
from nasplug.store.events import EventCallback, Journal, read_events
from nasplug.store.networks import PlannedNetwork
from nasplug.store.run_folder import RunFolder
from nasplug.values import Budget, Evaluated, Genotype, Progress, Training


def make_further_work(
    context: RunContext,
    trainer: Trainer | None,
    journal: Journal,
    should_stop: ShouldStop,
    on_event: EventCallback,
) -> RecordedWork:
    """The work that a selector can ask for after the search of `trainer`.

    `on_event` is called with the events of networks that are trained, once they are in the journals of their phases;
    all others go to `journal`, to which those are added in the end.
    """

    def train_alone(
        trials: Mapping[str, Genotype], epochs: int, split: str, budget: Budget
    ) -> Generator[Progress, None, list[float | None]]:
        plans = {phase: _plan_trial(context, genotype, budget) for phase, genotype in trials.items()}
        tasks = [
            TrainingTask(plan, phase, epochs, keeps_weights=False, held_out=split, competes=True)
            for phase, plan in plans.items()
            if plan is not None
        ]
        yield from train_networks(context, tasks, should_stop, on_event)
        journal.absorb({task.phase: journal_path(context, task.phase) for task in tasks})
        by, errors = context.recipe.select.by, dict[str, float]()
        for task in tasks:
            validation = read_validation(context.folder, task.phase, folds=0)
            assert validation is not None  # noqa: S101 - a trial holds images out, and is finished by now
            errors[task.phase] = validation.chosen_by(by)
        return [errors.get(phase) for phase in trials]

    return RecordedWork(
        trainer=trainer,
        make_streams=partial(_make_streams, context),
        carry_out=lambda further: run_training(context, further, JointFineTuning.of(further), journal, should_stop),
        train_networks=train_alone,
        on_record=_read_evaluations(context.folder),
    )


@attrs.frozen(eq=False)
class JointFineTuning:
    """The training of a supernet further, for ranks that join it."""

    phase: str
    training: Training
    candidates: Tensor

    @classmethod
    def of(cls, further: Trainer) -> Self:
        """What this trainer is about to do."""
        if further.candidates is None:
            raise TypeError("a supernet is trained further with some of its candidates")
        return cls(further.name, further.training, further.candidates)

    def make_trainer(self, context: RunContext, searched: Trainer | None) -> Trainer:
        """The trainer that goes on with the supernet of the search."""
        if searched is None:
            raise TypeError("there is no supernet to train further")
        streams = _make_streams(context, self.phase, self.training)
        return make_further_trainer(searched, self.phase, self.training, streams, self.candidates)


def _make_streams(context: RunContext, phase: str, training: Training) -> Mapping[str, Stream]:
    return {name: context.stream(phase, name, indices, training) for name, indices in context.shares().items()}


def cost_of_trials(context: RunContext) -> dict[str, float | int | str]:
    """What the networks took that a selector has trained: seconds of all together, and the largest peak of memory."""
    costs = [(context.folder.done(phase) or {})["cost"] for phase in finished_trials(context.folder)]
    if not costs:
        return no_cost(context)
    return {
        "seconds": round(sum(cost["seconds"] for cost in costs), 3),
        "peak_memory_bytes": max(cost["peak_memory_bytes"] for cost in costs),
        "device": str(context.device),
    }


def discard_further_work(context: RunContext) -> None:
    """Removes what a selection that is finished needs no more."""
    for phase in (FINE_TUNING, TRIAL):
        shutil.rmtree(context.folder.phase(phase), ignore_errors=True)


def _plan_trial(context: RunContext, genotype: Genotype, budget: Budget) -> PlannedNetwork | None:
    """The network of a trial at its size; None if it does not keep the budget."""
    limited, options = with_measures_of(context, budget), context.recipe.retrain
    space = context.composition.space.scaled(channels=options.channels, cells=options.cells)
    return plan_within(limited, space, genotype, budget)


def finished_trials(folder: RunFolder) -> list[str]:
    """The phases of the networks that a selector has trained, as far as they are finished."""
    return [f"{TRIAL}/{path.parent.name}" for path in sorted(folder.phase(TRIAL).glob("*/done.json"))]


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
