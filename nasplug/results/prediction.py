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
from nasplug.values.shape import INPUT_WORDS

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

    @property
    def ordinary_input(self) -> Tensor:
        """One input (1, C, H, W) that every network answers whose training has not diverged."""

    def __call__(self, images: Tensor, /) -> Tensor:
        """The answers (N, outputs) to uint8 images (N, C, H, W)."""


def classify(
    classifier: ImageClassifier, files: Sequence[EncodedImage]
) -> Iterator[tuple[EncodedImage, Tensor | InputError]]:
    """For each file the answer, (outputs,), such as its class probabilities, or why it cannot be read or answered.

    Files are brought to the form of the training images as the data set `folder` does it. Raises InputError for a
    network of no use.
    """
    for start in range(0, len(files), BATCH):
        batch = files[start : start + BATCH]
        read = [_try_to_read(file, classifier) for file in batch]
        images = [image for image in read if isinstance(image, Tensor)]
        names = [f"The image file {file}" for file, image in zip(batch, read, strict=True) if isinstance(image, Tensor)]
        answers = iter(_answer_each(classifier, torch.stack(images), names) if images else ())
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
        if not len(signals):
            yield str(file), InputError(f"{file} holds no signals: its array 'signals' is empty; write some into it.")
        names = [f"{file}[{number}]" for number in range(len(signals))]
        for first in range(0, len(signals), BATCH):
            batch = names[first : first + BATCH]
            titles = [f"The signal {name}" for name in batch]
            yield from zip(batch, _answer_each(classifier, signals[first : first + BATCH], titles), strict=True)


def predict(classifier: ImageClassifier, images: Any) -> Tensor:
    """The answers (N, outputs), float32, to N images, or to a single one (then N is 1).

    `images` are those that `read_images` takes, or `read_signals` for a network of signals. Raises InputError for
    others, and for a network of no use.
    """
    if classifier.dims == 1:
        pixels = read_signals(images, classifier.channels, classifier.size, classifier.dtype)
    else:
        pixels = read_images(images, classifier.channels, classifier.size, classifier.bits)
    return answer(classifier, pixels)


def answer(classifier: ImageClassifier, pixels: Tensor) -> Tensor:
    """The answers (N, outputs) to uint8 images (N, C, H, W) of the network's size.

    Raises InputError for the first image that has no finite answer.
    """
    answers = torch.cat([_compute(classifier, part) for part in pixels.split(BATCH)])
    unanswered = (~answers.isfinite()).any(1).nonzero()
    if len(unanswered):
        number = int(unanswered[0])
        word = INPUT_WORDS[classifier.dims].capitalize()
        raise _explain(classifier, pixels[number], f"{word} {number} of those handed over")
    return answers


def _answer_each(classifier: ImageClassifier, pixels: Tensor, names: Sequence[str]) -> Iterator[Tensor | InputError]:
    """The answer to each of a batch of inputs, or why it has none, in a sentence that begins with its name."""
    answers = _compute(classifier, pixels)
    for name, values, found in zip(names, pixels, answers, strict=True):
        yield found if found.isfinite().all() else _explain(classifier, values, name)


def _compute(classifier: ImageClassifier, pixels: Tensor) -> Tensor:
    with torch.inference_mode():
        answers: Tensor = classifier(pixels)
    return answers


def _explain(classifier: ImageClassifier, values: Tensor, name: str) -> InputError:
    """Why the answer to an input is not finite. Raises InputError if it is for the network, which answers nothing."""
    if not _compute(classifier, classifier.ordinary_input).isfinite().all():
        raise InputError(
            "The network answers with NaN, so its training had diverged; train it again with a lower learning rate "
            "(retrain.lr), or take another network."
        )
    return InputError(
        f"{name} has no finite answer: its values go from {float(values.min()):g} to {float(values.max()):g}, and the "
        f"network answers others; bring it to the scale of the training {INPUT_WORDS[classifier.dims]}s, or leave it "
        f"out."
    )


def _try_to_read(file: EncodedImage, classifier: ImageClassifier) -> Tensor | InputError:
    try:
        return read_file(file, classifier.channels, classifier.size, classifier.bits)
    except InputError as error:
        return error
