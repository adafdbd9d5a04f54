"""The phase `teacher`: training the network that a run learns from, or fine-tuning a pretrained one."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import torch

from nasplug.engine import Trainer
from nasplug.errors import InputError, quote
from nasplug.parts import Network
from nasplug.runs.context import RunContext
from nasplug.runs.retrain import SaveNetwork, make_network_trainer, make_plain_trainer, network_saver, train_network
from nasplug.runs.signals import ShouldStop
from nasplug.store.events import Journal
from nasplug.store.networks import PlannedNetwork, load_network, save_with_facts
from nasplug.values import Progress
from nasplug.values.options import build, option_values
from nasplug.values.recipe import RetrainOptions

FINE_TUNING_RATE = 0.1
"""The learning rate of a fine-tuning, as a share of that of a training from scratch, unless one is named."""


def train_teacher(context: RunContext, journal: Journal, should_stop: ShouldStop) -> Iterator[Progress]:
    """Trains the network of the run's teacher, if there is one to train."""
    folder, source = context.folder, context.recipe.run.teacher_from
    if folder.teacher.exists() and not folder.checkpoint("teacher").exists():  # it was given, not trained here
        return
    if source and not folder.pretrained_teacher.exists():
        raise InputError(
            f"The network of the teacher {quote(source)} is gone from '{folder.phase('teacher')}'; restore it from a "
            f"copy of the run, or start a new run."
        )
    training = _make_training(context)
    if training is not None:
        trainer, save = training
        yield from train_network(context, trainer, TeacherTraining(), context.splits, save, journal, should_stop)
        folder.pretrained_teacher.unlink(missing_ok=True)


@attrs.frozen
class TeacherTraining:
    """The training of the teacher's network, for ranks that join it."""

    def make_trainer(self, context: RunContext, searched: Trainer | None) -> Trainer:
        """The trainer of the teacher, which there is."""
        trainer = make_teacher_trainer(context)
        if trainer is None:
            raise TypeError("this run has no teacher to train")
        return trainer


def make_teacher_trainer(context: RunContext) -> Trainer | None:
    """The training of the teacher's network, if there is one to train: a pretrained one is fine-tuned."""
    training = _make_training(context)
    return None if training is None else training[0]


def teacher_training(context: RunContext) -> RetrainOptions:
    """How the teacher's network is trained: from labels, as in a retraining but for what the teacher asks for.

    Raises InputError if it asks for an option or a value that there is not.
    """
    teacher = context.composition.teacher
    options = {**option_values(context.recipe.retrain), **teacher.training_options(), "distil": 0.0}
    if teacher.epochs:
        options["epochs"] = teacher.epochs
    return build(RetrainOptions, options, "The training of the teacher")


def fine_tuning(context: RunContext) -> RetrainOptions | None:
    """How a pretrained teacher is fine-tuned: as a teacher is trained, at a lower rate; None: not at all."""
    training, asked = teacher_training(context), context.recipe.run
    lr = asked.teacher_lr or FINE_TUNING_RATE * training.lr
    training = attrs.evolve(training, lr=lr, lr_min=training.lr_min * lr / training.lr, auxiliary=0.0)
    return None if asked.teacher_epochs == 0 else training.with_epochs(asked.teacher_epochs or training.epochs)


def _make_training(context: RunContext) -> tuple[Trainer, SaveNetwork] | None:
    folder = context.folder
    if folder.pretrained_teacher.exists():
        return _make_fine_tuning(context)
    asked = context.teacher()
    if asked is None:
        return None
    space, genotype = asked
    plan = PlannedNetwork.found(space, genotype, context.shape)
    trainer = make_network_trainer(context, "teacher", space, plan, teacher_training(context), context.splits)
    return trainer, network_saver(context, folder.teacher, space, plan)


def _make_fine_tuning(context: RunContext) -> tuple[Trainer, SaveNetwork]:
    path, training = context.folder.pretrained_teacher, fine_tuning(context)
    if training is None:
        raise InputError(
            f"run.teacher_epochs is 0, but '{path}' holds a teacher that has yet to be fine-tuned; put back the epochs "
            f"that the run was started with, or start a new run."
        )
    torch.manual_seed(context.seed("teacher", "weights"))
    net, facts = load_network(path, context.plugins)

    def save(net: Network, statistics_images: int) -> None:
        save_with_facts(context.folder.teacher, net, {**facts, "statistics_images": statistics_images})

    return make_plain_trainer(context, "teacher", net, training, context.splits), save
