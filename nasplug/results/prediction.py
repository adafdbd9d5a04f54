"""Class probabilities of image files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from nasplug.data.decoding import decode
from nasplug.errors import InputError
from nasplug.results.classifier import Classifier

BATCH = 64
"""Images that are classified at a time."""


def classify(classifier: Classifier, paths: Sequence[Path]) -> Iterator[tuple[Path, Tensor | InputError]]:
    """For each file its class probabilities, (classes,), or why it cannot be read.

    Files are brought to the form of the training images as the data set `folder` does it.
    """
    for start in range(0, len(paths), BATCH):
        batch = paths[start : start + BATCH]
        read = [_decode(path, classifier) for path in batch]
        images = [image for image in read if isinstance(image, Tensor)]
        with torch.inference_mode():
            answers = iter(classifier(torch.stack(images)) if images else ())
        for path, image in zip(batch, read, strict=True):
            yield path, next(answers) if isinstance(image, Tensor) else image


def _decode(path: Path, classifier: Classifier) -> Tensor | InputError:
    if classifier.channels not in (1, 3):
        raise InputError(f"Image files have 1 or 3 channels, and this network takes {classifier.channels}.")
    if not path.is_file():
        return InputError(f"There is no image file '{path}'{'; it is a folder' if path.is_dir() else ''}.")
    try:
        return decode(path, classifier.size, classifier.channels, classifier.bits)
    except InputError as error:
        return error
