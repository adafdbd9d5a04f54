"""A teacher's network that is a pretrained one of a library: timm:NAME, torchvision:NAME."""

from __future__ import annotations

from pathlib import Path

import torch

from nasplug.compose import build_reference
from nasplug.errors import InputError, quote
from nasplug.parts import ReferenceNetwork
from nasplug.parts.reference import FETCHED
from nasplug.plugins import Plugins
from nasplug.plugins.located_names import split_location
from nasplug.runs.context import RunContext
from nasplug.runs.form_fit import refuse_data
from nasplug.runs.teacher_training import fine_tuning
from nasplug.store.networks import save_pretrained
from nasplug.values import ImageShape


def is_pretrained(plugins: Plugins, source: str) -> bool:
    """Whether `source` names a network of a library, and no file or folder."""
    registered, location = split_location(plugins, "reference", source)
    return bool(location and plugins.find_all("reference", registered)) and not Path(source).exists()


def adopt_pretrained(context: RunContext) -> None:
    """Keeps the pretrained network that `run.teacher_from` names in the run, so that the run stands on its own.

    The phase `teacher` fine-tunes it on the classes of the run, unless `run.teacher_epochs` is 0. InputError if its
    library, its name or its weights cannot be had, if it takes no such images, or if its logits are wanted, but not its
    fine-tuning.
    """
    options, training = context.recipe.run, fine_tuning(context)
    name = options.teacher_from
    if training is None and context.recipe.retrain.distil > 0:
        raise InputError(
            f"With retrain.distil={context.recipe.retrain.distil:g} networks learn from logits for the classes of "
            f"'{context.data.name}', which {quote(name)} has after its fine-tuning only; set run.teacher_epochs to 1 "
            f"or more, or leave it out."
        )
    registered, _ = split_location(context.plugins, "reference", name)
    weights_option = context.plugins.resolve(context.plugins.find("reference", registered)).weights_option
    if not weights_option:
        raise InputError(
            f"The network {quote(name)} has no pretrained weights; name one of timm or torchvision as teacher."
        )
    reference = build_reference(context.plugins, name, {weights_option: options.teacher_weights or FETCHED})
    refuse_data(f"The teacher {quote(name)}", reference.input_dims, context.data)
    read = _read_shape(context, reference)
    torch.manual_seed(context.seed("teacher", "weights"))
    try:
        net = reference.network(read)
    except InputError as error:
        raise InputError(f"{error} For a teacher, run.teacher_resolution=PIXELS resizes images.") from error
    try:
        reference.load_weights(net)
    except InputError as error:
        remedy = "" if options.teacher_weights else " For a teacher: --set run.teacher_weights=FILE."
        raise InputError(f"{error}{remedy}") from error
    folder = context.folder
    path = folder.teacher if training is None else folder.pretrained_teacher
    save_pretrained(path, net, name, reference.size(), context.preprocessing(), read)
    if training is None:
        folder.finish("teacher", {"from": name})


def _read_shape(context: RunContext, reference: ReferenceNetwork) -> ImageShape:
    """The images that the network reads: as those for its weights, at the resolution that is asked for."""
    name, shape = context.recipe.run.teacher_from, context.shape
    mean, std = reference.normalisation() or (shape.mean, shape.std)
    if shape.channels not in (1, len(mean)):
        raise InputError(
            f"The pretrained network {quote(name)} reads images of {len(mean)} channels (or 1, repeated), but those of "
            f"'{context.data.name}' have {shape.channels}; take the network of a run on such images as teacher."
        )
    size = context.recipe.run.teacher_resolution or shape.size
    return ImageShape(channels=len(mean), size=size, classes=shape.classes, mean=mean, std=std)
