"""Training one network of a run: found, random, reference or teacher."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import attrs
import torch
from torch import Tensor

from nasplug.data import Splits
from nasplug.engine import Trainer, measure_errors
from nasplug.engine.assembly import place_network
from nasplug.engine.finite import NonFinite
from nasplug.engine.norm_statistics import running_averages_lag
from nasplug.engine.plain.averaging import AveragingStage
from nasplug.engine.plain.distillation import DistillationStage
from nasplug.engine.plain.fixed import Fixed
from nasplug.engine.plain.keep import Keep
from nasplug.engine.plain.labels import LabelStage
from nasplug.errors import RunFailure
from nasplug.parts import Errors, Network, SearchSpace, Stage
from nasplug.plugins.hook_calls import note
from nasplug.runs.context import RunContext
from nasplug.runs.distillation import retraining_teacher
from nasplug.runs.norm_statistics import NORM_BATCH, measure_norms, norm_batches
from nasplug.runs.ranks import JointTraining
from nasplug.runs.shared_weights import initial_weights
from nasplug.runs.signals import ShouldStop
from nasplug.runs.training import Diverged, cost_record, lower_rate, no_cost, run_training
from nasplug.runs.training_task import TrainingTask
from nasplug.runs.validation import record_validation
from nasplug.store.events import Journal, read_events, require_entries
from nasplug.store.networks import PlannedNetwork, build_network, save_network, strip_auxiliary_head
from nasplug.values import Progress
from nasplug.values.recipe import RetrainOptions

SaveNetwork = Callable[[Network, int], None]
"""Writes a trained network; the number is that of the images on which its batch norms were measured, as on record."""


def train_task(
    context: RunContext, task: TrainingTask, journal: Journal, should_stop: ShouldStop
) -> Iterator[Progress]:
    """Trains a network by the recipe of the retraining, and records its validation error."""
    path, splits = context.folder.weights(task.plan.id), context.division(task.fold, task.held_out)
    save = network_saver(context, path, context.composition.space, task.plan) if task.keeps_weights else None
    weights = initial_weights(context, task.plan) if task.shares_weights else {}
    trainer = _make_task_trainer(context, task, weights)
    try:
        yield from train_network(context, trainer, JointTask(task), splits, save, journal, should_stop)
    except Diverged as failure:
        if not task.competes:
            raise
        _count_as_worst(context, task, splits, str(failure))


def _count_as_worst(context: RunContext, task: TrainingTask, splits: Splits, reason: str) -> None:
    """Records that a network has learnt nothing: its error is the worst of the task."""
    untrained = build_network(context.plugins, context.composition.space, task.plan, context.shape)
    errors = context.validation_errors(place_network(untrained, context.device), splits.validation)
    worst = None
    if errors is not None:
        worst = Errors(tuple(context.task.worst_error * total for total in errors.total), errors.total)
    checkpoint = context.folder.checkpoint(task.phase)
    cost = cost_record(context, task.phase) if checkpoint.exists() else no_cost(context)
    record = {"train_loss": None, "statistics_images": 0, "cost": cost, "diverged": reason}
    context.folder.finish(task.phase, {**record_validation(worst), **record})
    checkpoint.unlink(missing_ok=True)
    note(f"Note: {reason} It counts as the worst, and the run goes on.")


@attrs.frozen
class JointTask:
    """The training of a task, for ranks that join it."""

    task: TrainingTask

    def make_trainer(self, context: RunContext, searched: Trainer | None) -> Trainer:
        """The trainer of the network, whatever weights it is to begin with."""
        return _make_task_trainer(context, self.task, {})


def _make_task_trainer(context: RunContext, task: TrainingTask, weights: Mapping[str, Tensor]) -> Trainer:
    space, training = context.composition.space, context.recipe.retrain.shortened(task.epochs)
    splits, teacher = context.division(task.fold, task.held_out), retraining_teacher(context)
    return make_network_trainer(context, task.phase, space, task.plan, training, splits, teacher, weights)


def network_saver(context: RunContext, path: Path, space: SearchSpace, plan: PlannedNetwork) -> SaveNetwork:
    """Writes the network of `plan`, as it is shipped, to a weights file."""

    def save(net: Network, statistics_images: int) -> None:
        shipped = strip_auxiliary_head(net, build_network(context.plugins, space, plan, context.shape))
        save_network(path, shipped, context.composition, plan, context.preprocessing(), statistics_images)

    return save


def train_network(
    context: RunContext,
    trainer: Trainer,
    joint: JointTraining | None,
    splits: Splits,
    save: SaveNetwork | None,
    journal: Journal,
    should_stop: ShouldStop,
) -> Iterator[Progress]:
    """One pass of the loop over a stand-alone network, from the initial weights of `trainer` to what `save` writes.

    `trainer` is what `make_network_trainer` or `make_plain_trainer` has made for `splits`, and `joint` is for other
    ranks, where there are any. Where the weights are
    averaged (option `ema`), the average is what is validated and written. After a training that is too short for
    running averages, the statistics of its batch norms are measured first. Raises Diverged if the network, its
    statistics or its answers are not finite.
    """
    name, stage = trainer.name, trainer.stages[0]
    net = stage.average if isinstance(stage, AveragingStage) else trainer.net
    yield from run_training(context, trainer, joint, journal, should_stop)
    loss = mean_last_loss(journal, name, trainer.clock.steps_per_epoch)
    decay = stage.decay_at(trainer.steps - 1) if isinstance(stage, AveragingStage) else 0.0
    images = measure_norms(context, net, splits.train) if running_averages_lag(net, trainer.steps, decay) else 0
    try:
        errors = context.validation_errors(net, splits.validation)
        if errors is None:  # no image is held out: look at answers to training images
            measure_errors(net, norm_batches(context, splits.train, NORM_BATCH))
        if save is not None:
            save(net, images)
    except NonFinite as failure:
        raise Diverged(
            f"The network of phase '{name}' is of no use after its {trainer.steps} steps: {failure} "
            f"{lower_rate(context, name, trainer.training.lr)}"
        ) from failure
    record = {"train_loss": loss, "statistics_images": images, "cost": cost_record(context, name)}
    context.folder.finish(name, {**record_validation(errors), **record})
    context.folder.checkpoint(name).unlink()


def make_network_trainer(
    context: RunContext,
    name: str,
    space: SearchSpace,
    plan: PlannedNetwork,
    training: RetrainOptions,
    splits: Splits,
    teacher: Network | None = None,
    weights: Mapping[str, Tensor] = MappingProxyType({}),
) -> Trainer:
    """The training of a stand-alone network on `splits.train`, with the initial weights of its phase but for `weights`.

    A reference network is trained as a found one of the density for which `drop_path` is meant, without auxiliary head.
    `teacher` is the network, on the device of the run, that it learns from if `training.distil` is above 0.
    """
    genotype = plan.genotype
    training = attrs.evolve(training, auxiliary=0.0) if genotype is None else training.for_network(genotype)
    torch.manual_seed(context.seed(name, "weights"))
    net = build_network(context.plugins, space, plan, context.shape, auxiliary=training.auxiliary > 0)
    if plan.reference is not None:
        context.composition.references[plan.reference].load_weights(net)
    net.load_state_dict({**net.state_dict(), **weights})
    return make_plain_trainer(context, name, net, training, splits, teacher)


def make_plain_trainer(
    context: RunContext,
    name: str,
    net: Network,
    training: RetrainOptions,
    splits: Splits,
    teacher: Network | None = None,
) -> Trainer:
    """The training of a stand-alone network on `splits.train` from the weights that it has; `teacher` as above."""
    net = place_network(net, context.device)
    labels = LabelStage(smoothing=training.label_smoothing, auxiliary_weight=training.auxiliary)
    stage: Stage = labels
    if training.distil > 0:
        if teacher is None:
            raise TypeError("retrain.distil is above 0, but there is no teacher to learn from")
        stage = DistillationStage(labels, teacher, training.distil, training.distil_temperature)
    if training.ema > 0:
        stage = AveragingStage(stage, net, training.ema)
    return Trainer(
        name=name,
        net=net,
        optimizer=Fixed(),
        schedule=Keep(),
        stages=[stage],
        training=training,
        streams={"train": context.stream(name, "train", splits.train, training)},
        device=context.device,
        bf16=context.bf16,
        ranks=context.ranks,
    )


def mean_last_loss(journal: Journal, phase: str, steps: int) -> float:
    """The mean training loss of the last `steps` steps of a phase: what there is to go by without validation images."""
    events = [event for event in read_events(journal.path) if event["phase"] == phase]
    for event in events:
        require_entries(event, ("loss",), journal.path)
    losses = [event["loss"] for event in events]
    if not losses:
        raise RunFailure(f"'{journal.path}' has lost its events; the run folder was changed or removed in mid-run.")
    return float(sum(losses[-steps:]) / len(losses[-steps:]))
