"""Training one network from scratch: found, random or teacher."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import torch

from nasplug.engine import Trainer
from nasplug.engine.assembly import place_network
from nasplug.engine.plain.averaging import AveragingStage
from nasplug.engine.plain.fixed import Fixed
from nasplug.engine.plain.keep import Keep
from nasplug.engine.plain.labels import LabelStage
from nasplug.errors import RunFailure
from nasplug.parts import SearchSpace
from nasplug.runs.context import RunContext
from nasplug.runs.signals import ShouldStop
from nasplug.runs.training import Progress, cost_record, run_training
from nasplug.store.events import Journal, read_events
from nasplug.store.networks import PlannedNetwork, resize_space, save_network, strip_auxiliary_head
from nasplug.values import Genotype
from nasplug.values.recipe import RetrainOptions


def retrain(context: RunContext, plan: PlannedNetwork, journal: Journal, should_stop: ShouldStop) -> Iterator[Progress]:
    """Trains a planned network and records its weights and validation error."""
    space = resize_space(context.composition.space, plan.size)
    path = context.folder.weights(plan.id)
    yield from train_network(context, plan.phase, space, plan, context.recipe.retrain, path, journal, should_stop)


def train_teacher(
    context: RunContext, space: SearchSpace, plan: PlannedNetwork, journal: Journal, should_stop: ShouldStop
) -> Iterator[Progress]:
    """Trains the network that a teacher asked for, by the recipe of a retraining."""
    training = teacher_training(context)
    yield from train_network(context, "teacher", space, plan, training, context.folder.teacher, journal, should_stop)


def teacher_training(context: RunContext) -> RetrainOptions:
    """How the teacher's network is trained: as in a retraining, for the epochs that the teacher asks for."""
    return attrs.evolve(
        context.recipe.retrain, epochs=context.composition.teacher.epochs or context.recipe.retrain.epochs
    )


def make_teacher_trainer(context: RunContext) -> Trainer | None:
    """The training of the network that the teacher asks for, if it asks for one."""
    asked = context.teacher()
    return None if asked is None else make_network_trainer(context, "teacher", *asked, teacher_training(context))


def train_network(
    context: RunContext,
    name: str,
    space: SearchSpace,
    plan: PlannedNetwork,
    training: RetrainOptions,
    weights: Path,
    journal: Journal,
    should_stop: ShouldStop,
) -> Iterator[Progress]:
    """One pass of the loop over a stand-alone network, from seeded initial weights to a weights file.

    Where the weights are averaged (option `ema`), the average is what is validated and written.
    """
    phase = make_network_trainer(context, name, space, plan.genotype, training)
    stage = phase.stages[0]
    net = stage.average if isinstance(stage, AveragingStage) else phase.net
    yield from run_training(context, phase, journal, should_stop)
    loss = mean_last_loss(journal, name, phase.clock.steps_per_epoch)
    errors = context.errors(net, "validation")
    shipped = strip_auxiliary_head(net, space, plan.genotype, context.shape)
    save_network(weights, shipped, context.composition, plan, context.preprocessing())
    error = None if errors is None else errors.rate
    context.folder.finish(name, {"val_error": error, "train_loss": loss, "cost": cost_record(context, name)})
    context.folder.checkpoint(name).unlink()


def make_network_trainer(
    context: RunContext, name: str, space: SearchSpace, genotype: Genotype, training: RetrainOptions
) -> Trainer:
    """The training of a stand-alone network, with the initial weights of its phase."""
    training = training.for_network(genotype)
    torch.manual_seed(context.seed(name, "weights"))
    net = place_network(space.network(genotype, context.shape, auxiliary=training.auxiliary > 0), context.device)
    stage = LabelStage(smoothing=training.label_smoothing, auxiliary_weight=training.auxiliary)
    if training.ema > 0:
        stage = AveragingStage(net, training.ema, training.label_smoothing, training.auxiliary)
    return Trainer(
        name=name,
        net=net,
        optimizer=Fixed(),
        schedule=Keep(),
        stages=[stage],
        training=training,
        streams={"train": context.stream(name, "train", context.splits.train, training)},
        device=context.device,
        bf16=context.bf16,
    )


def mean_last_loss(journal: Journal, phase: str, steps: int) -> float:
    """The mean training loss of the last `steps` steps of a phase: what there is to go by without validation images."""
    losses = [event["loss"] for event in read_events(journal.path) if event["phase"] == phase]
    if not losses:
        raise RunFailure(f"'{journal.path}' has lost its events; the run folder was changed or removed in mid-run.")
    return float(sum(losses[-steps:]) / len(losses[-steps:]))
