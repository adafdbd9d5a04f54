"""Whether the parts and options of a run go with the form of its inputs: images, or signals."""

from __future__ import annotations

from nasplug.compose import Composition
from nasplug.errors import InputError, quote
from nasplug.parts import ImageData
from nasplug.values import Training

WORDS = {1: "signals", 2: "images"}
"""What inputs of so many dimensions are called."""


def check_form(composition: Composition, data: ImageData) -> None:
    """Raises InputError if a part or an option of a run is not for inputs of this form."""
    recipe = composition.recipe
    refuse_dims(f"The space '{recipe.parts['space'].name}'", composition.space.input_dims, data)
    for name, reference in composition.references.items():
        refuse_dims(f"The reference network {quote(name)}", reference.input_dims, data)
    if data.dims == 1:
        for section in ("search", "retrain"):
            _refuse_image_augmentation(section, getattr(recipe, section), data)


def refuse_dims(part: str, input_dims: frozenset[int], data: ImageData) -> None:
    """Raises InputError, which begins with `part`, unless it builds networks for inputs of the form of `data`."""
    if data.dims not in input_dims:
        known = " and ".join(WORDS[dims] for dims in sorted(input_dims))
        raise InputError(
            f"{part} builds networks for {known}, and the data set '{data.name}' has {WORDS[data.dims]}; take another "
            f"one, such as the space 'compact' or the reference networks plain and resnet8, which are for both."
        )


def _refuse_image_augmentation(section: str, training: Training, data: ImageData) -> None:
    """Raises InputError for augmentation of images: only shifts, cutout and noise mean something for signals."""
    if training.augment not in ("none", "standard"):
        raise InputError(
            f"{section}.augment={training.augment} is for images, and the data set '{data.name}' has signals; set it "
            f"to standard (shifts along the signal) or none."
        )
    for name, off in (("color_jitter", "[0, 0, 0, 0]"), ("random_erasing", "0")):
        value = getattr(training, name)
        if any(value) if isinstance(value, tuple) else value:
            raise InputError(
                f"{section}.{name} is for images, and the data set '{data.name}' has signals; set {section}.{name}="
                f"{off}; {section}.cutout and {section}.noise are for signals, too."
            )
