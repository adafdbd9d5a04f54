"""Class probabilities of images, in whatever form people have them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from nasplug.errors import InputError
from nasplug.parts import EncodedImage, Task
from nasplug.results.input_images import read_file, read_images
from nasplug.results.input_signals import read_signal_file, read_signals

BATCH = 64
"""Images that are classified at a time."""


class ImageClassifier(Protocol):
    """A trained network with its preprocessing, in whatever program it computes."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of classes, or of the other outputs of the task, in their order."""

    @property
    def task(self) -> Task:
        """What it answers."""

    @property
    def channels(self) -> int:
        """Colour planes of an image."""

    @property
    def size(self) -> int:
        """Height and width of an image in pixels."""

    @property
    def dims(self) -> int:
        """2 for images, 1 for signals."""

    @property
    def dtype(self) -> str:
        """The type of their values, "uint8" or "float32"."""

    @property
    def bits(self) -> int | None:
        """Bits used of values of more than 8 in the training images; None: these had 8."""

    def __call__(self, images: Tensor, /) -> Tensor:
        """The answers (N, outputs) to uint8 images (N, C, H, W)."""


def classify(
    classifier: ImageClassifier, files: Sequence[EncodedImage]
) -> Iterator[tuple[EncodedImage, Tensor | InputError]]:
    """For each file the answer, (outputs,), such as its class probabilities, or why it cannot be read.

    Files are brought to the form of the training images as the data set `folder` does it.
    """
    for start in range(0, len(files), BATCH):
        batch = files[start : start + BATCH]
        read = [_try_to_read(file, classifier) for file in batch]
        images = [image for image in read if isinstance(image, Tensor)]
        answers = iter(answer(classifier, torch.stack(images)) if images else ())
        for file, image in zip(batch, read, strict=True):
            yield file, next(answers) if isinstance(image, Tensor) else image


def classify_signals(classifier: ImageClassifier, files: Sequence[Path]) -> Iterator[tuple[str, Tensor | InputError]]:
    """The same for every signal in files of them, which are called by their file and their number in it."""
    for file in files:
        try:
            signals = read_signal_file(file, classifier.channels, classifier.size, classifier.dtype)
        except InputError as error:
            yield str(file), error
            continue
        for first in range(0, len(signals), BATCH):
            for number, found in enumerate(answer(classifier, signals[first : first + BATCH]), first):
                yield f"{file}[{number}]", found


def predict(classifier: ImageClassifier, images: Any) -> Tensor:
    """The answers (N, outputs), float32, to N images, or to a single one (then N is 1).

    `images` are those that `read_images` takes, or `read_signals` for a network of signals. Raises InputError for
    others, and for a network of no use.
    """
    if classifier.dims == 1:
        pixels = read_signals(images, classifier.channels, classifier.size, classifier.dtype)
    else:
        pixels = read_images(images, classifier.channels, classifier.size, classifier.bits)
    return torch.cat([answer(classifier, part) for part in pixels.split(BATCH)])


def answer(classifier: ImageClassifier, pixels: Tensor) -> Tensor:
    """The answers (N, outputs) to uint8 images (N, C, H, W) of the network's size.

    Raises InputError if they are not finite, as those of a network are whose training has diverged.
    """
    with torch.inference_mode():
        answers: Tensor = classifier(pixels)
    if not answers.isfinite().all():
        raise InputError(
            "The network answers with NaN, so its training had diverged; train it again with a lower learning rate "
            "(retrain.lr), or take another network."
        )
    return answers


def _try_to_read(file: EncodedImage, classifier: ImageClassifier) -> Tensor | InputError:
    try:
        return read_file(file, classifier.channels, classifier.size, classifier.bits)
    except InputError as error:
        return error
