"""Training one network from scratch: found, random or teacher."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import torch

from nasplug.builtin.averaging import AveragingStage
from nasplug.builtin.optimizers.fixed import Fixed
from nasplug.builtin.schedules import Keep
from nasplug.builtin.teachers import LabelStage
from nasplug.engine import Phase
from nasplug.errors import RunFailure
from nasplug.parts import SearchSpace
from nasplug.phases.journal import Journal, read_events
from nasplug.phases.networks import Plan, as_shipped, placed, save_network, sized
from nasplug.phases.stopping import Stop
from nasplug.phases.study import Study
from nasplug.phases.training import Progress, carry_out, cost_record
from nasplug.values import Genotype
from nasplug.values.recipe import Retraining


def retrain(study: Study, plan: Plan, journal: Journal, stop: Stop) -> Iterator[Progress]:
    """Trains a planned network and records its weights and validation error."""
    space = sized(study.composition.space, plan.size)
    path = study.folder.weights(plan.id)
    yield from train_network(study, plan.phase, space, plan, study.recipe.retrain, path, journal, stop)


def train_teacher(study: Study, space: SearchSpace, plan: Plan, journal: Journal, stop: Stop) -> Iterator[Progress]:
    """Trains the network that a teacher asked for, by the recipe of a retraining."""
    training = teacher_training(study)
    yield from train_network(study, "teacher", space, plan, training, study.folder.teacher, journal, stop)


def teacher_training(study: Study) -> Retraining:
    """How the teacher's network is trained: as in a retraining, for the epochs that the teacher asks for."""
    return attrs.evolve(study.recipe.retrain, epochs=study.composition.teacher.epochs or study.recipe.retrain.epochs)


def teacher_phase(study: Study) -> Phase | None:
    """The training of the network that the teacher asks for, if it asks for one."""
    asked = study.teacher()
    return None if asked is None else network_phase(study, "teacher", *asked, teacher_training(study))


def train_network(
    study: Study,
    name: str,
    space: SearchSpace,
    plan: Plan,
    training: Retraining,
    weights: Path,
    journal: Journal,
    stop: Stop,
) -> Iterator[Progress]:
    """One pass of the loop over a stand-alone network, from seeded initial weights to a weights file.

    Where the weights are averaged (option `ema`), the average is what is validated and written.
    """
    phase = network_phase(study, name, space, plan.genotype, training)
    stage = phase.stages[0]
    net = stage.average if isinstance(stage, AveragingStage) else phase.net
    yield from carry_out(study, phase, journal, stop)
    loss = mean_last_loss(journal, name, phase.clock.steps_per_epoch)
    error = study.error(net, "validation")
    shipped = as_shipped(net, space, plan.genotype, study.shape)
    save_network(weights, shipped, study.composition, plan, study.preprocessing())
    study.folder.finish(name, {"val_error": error, "train_loss": loss, "cost": cost_record(study, name)})
    study.folder.checkpoint(name).unlink()


def network_phase(study: Study, name: str, space: SearchSpace, genotype: Genotype, training: Retraining) -> Phase:
    """The training of a stand-alone network, with the initial weights of its phase."""
    training = training.for_network(genotype)
    torch.manual_seed(study.seed(name, "weights"))
    net = placed(space.network(genotype, study.shape, auxiliary=training.auxiliary > 0), study.device)
    stage = LabelStage(smoothing=training.label_smoothing, auxiliary_weight=training.auxiliary)
    if training.ema > 0:
        stage = AveragingStage(net, training.ema, training.label_smoothing, training.auxiliary)
    return Phase(
        name=name,
        net=net,
        optimizer=Fixed(),
        schedule=Keep(),
        stages=[stage],
        training=training,
        streams={"train": study.stream(name, "train", study.splits.train, training)},
        device=study.device,
        bf16=study.bf16,
        poll=study.pace.poll,
        replays=study.pace.replays(),
    )


def mean_last_loss(journal: Journal, phase: str, steps: int) -> float:
    """The mean training loss of the last `steps` steps of a phase: what there is to go by without validation images."""
    losses = [event["loss"] for event in read_events(journal.path) if event["phase"] == phase]
    if not losses:
        raise RunFailure(f"'{journal.path}' has lost its events; the run folder was changed or removed in mid-run.")
    return float(sum(losses[-steps:]) / len(losses[-steps:]))
