"""The phases of a run to come and their cost, from a few measured steps of each kind of phase."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice, pairwise

import attrs
import torch

from nasplug.data import Fold
from nasplug.engine import Trainer
from nasplug.runs.context import RunContext
from nasplug.runs.distillation import retraining_teacher
from nasplug.runs.halving import plan_rungs
from nasplug.runs.retrain import make_network_trainer
from nasplug.runs.search import begin_search, stand_in_teacher
from nasplug.runs.teacher_training import make_teacher_trainer
from nasplug.runs.training import peak_memory
from nasplug.store.networks import PlannedNetwork

WARM_UP, MEASURED = 2, 3
"""Groups of steps between two reads of the host (on a CPU, single steps): first untimed, then timed ones. The shortest
time counts."""


@attrs.frozen
class PhaseEstimate:
    """One kind of phase of a run to come."""

    name: str
    phases: int
    """How many such phases there will be."""
    at_once: int
    """How many of them run in parallel."""
    steps: int
    """Steps of each of them."""
    seconds_per_step: float
    peak_memory_bytes: int
    """Of the process or device after the step, everything measured before included."""

    @property
    def seconds(self) -> float:
        """Seconds for all of them."""
        return -(-self.phases // self.at_once) * self.steps * self.seconds_per_step


def estimate_run(context: RunContext) -> Iterator[PhaseEstimate]:
    """Measures each phase of a run to come; what is trained for it is thrown away.

    Found networks, which are not known yet, are taken to cost what random ones cost. Times are those of this machine
    with its present load. The schedule may end a search early; evaluation and rating are not counted.
    """
    torch.set_num_threads(context.recipe.run.threads)
    teacher = None
    if (trainer := make_teacher_trainer(context)) is not None:
        teacher = trainer.net
        if not context.folder.teacher.exists():
            yield _measure(context, trainer)
    if context.composition.optimizer.trains:
        yield from _measure_search(context)
    recipe = context.recipe
    jobs = recipe.run.jobs
    torch.set_num_threads(1 if jobs > 1 else recipe.run.threads)
    space = context.composition.space.scaled(channels=recipe.retrain.channels, cells=recipe.retrain.cells)
    genotypes = [space.random(context.random("foresee", number)) for number in range(9)]
    typical = sorted(genotypes, key=lambda genotype: space.cost(genotype, context.shape).macs)[4]
    plan = PlannedNetwork.found(space, typical, context.shape)
    if context.folder.teacher.exists():
        teacher = retraining_teacher(context)
    trainer = make_network_trainer(context, "retrain", space, plan, recipe.retrain, context.division(None), teacher)
    options, training = recipe.select, _measure(context, trainer)
    folds, epochs, steps_per_epoch = recipe.data.folds, recipe.retrain.epochs, trainer.clock.steps_per_epoch
    if folds:  # what decides is trained without one of them
        train = context.division(Fold(0, folds)).train
        steps_per_epoch = context.stream("", "", train, recipe.retrain).steps_per_epoch
    trials, trial_epochs = context.composition.selector.trials()
    if trials:
        phases = trials * max(1, len(recipe.budget.points))
        at_once, steps = min(jobs, phases), trainer.clock.steps_per_epoch * trial_epochs
        yield attrs.evolve(training, name="trial", phases=phases, at_once=at_once, steps=steps)
    # Of each of these as many networks are trained: those of the search and the random ones, for every budget.
    groups = (1 + options.random) * max(1, len(recipe.budget.points))
    for number, rung in enumerate(plan_rungs(options.candidates, options.networks, epochs, options.rung), 1):
        phases = groups * rung.candidates * max(1, folds)
        steps = steps_per_epoch * rung.epochs
        yield attrs.evolve(training, name=f"tournament/{number}", phases=phases, at_once=min(jobs, phases), steps=steps)
    networks = groups * options.networks
    if folds:
        phases = networks * folds
        yield attrs.evolve(
            training, name="folds", phases=phases, at_once=min(jobs, phases), steps=steps_per_epoch * epochs
        )
    yield attrs.evolve(training, phases=networks, at_once=min(jobs, networks))


def _measure_search(context: RunContext) -> Iterator[PhaseEstimate]:
    """One estimate for each supernet, of steps that update as much as any; earlier ones may update less."""
    trainer = begin_search(context, stand_in_teacher)
    trainer.begin(torch.Generator().manual_seed(context.seed("search", "alpha")))
    stages = len(trainer.stages)
    for number in range(trainer.plan.supernets):
        if number > 0:
            _make_last_step(context, trainer, number * stages - 1)
            trainer.enter_stage(number * stages)
        trainer.step = _busiest_epoch(trainer) * trainer.clock.steps_per_epoch
        measured = _measure(context, trainer)
        if trainer.plan.supernets == 1:
            yield measured
        else:
            steps = trainer.steps // trainer.plan.supernets
            yield attrs.evolve(measured, name=f"{trainer.name}/{number + 1}", steps=steps)


def _busiest_epoch(trainer: Trainer) -> int:
    """The first epoch with the most updates in a step: some optimizers begin to update alpha later."""
    clock = trainer.clock
    epochs = range(clock.epochs)
    return max(epochs, key=lambda epoch: len(trainer.optimizer.updates(clock.at(epoch * clock.steps_per_epoch))))


def _make_last_step(context: RunContext, trainer: Trainer, stage: int) -> None:
    """Makes the last step of a stage, in which a schedule deletes what the next supernet is to do without."""
    trainer.enter_stage(stage)
    trainer.step = trainer.clock.steps - 1
    next(context.device_options.runner().run(trainer))


def _measure(context: RunContext, trainer: Trainer) -> PhaseEstimate:
    moments, counts = [time.perf_counter()], []
    for steps in islice(context.device_options.runner().run(trainer), WARM_UP + MEASURED):
        moments.append(time.perf_counter())
        counts.append(len(steps))
    times = [(after - before) / count for (before, after), count in zip(pairwise(moments), counts, strict=True)]
    seconds = min(times[WARM_UP:] or times)
    return PhaseEstimate(trainer.name, 1, 1, trainer.steps, seconds, peak_memory(context.device))
