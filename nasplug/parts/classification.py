"""One of several classes for each image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import attrs
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from nasplug.errors import InputError
from nasplug.parts.answer_layer import SOFTMAX, AnswerLayer
from nasplug.parts.task import Targets, Task


@attrs.frozen
class Classification(Task):
    """Every image is of one class: targets are whole numbers (N,), counted from 0; the loss is the cross entropy.

    Images are divided by class. An error is an image that is put into a wrong class.
    """

    name: ClassVar[str] = "classification"
    has_classes: ClassVar[bool] = True
    output: ClassVar[str] = "class"
    outputs: ClassVar[str] = "classes"
    value: ClassVar[str] = "probability"
    error: ClassVar[str] = "the share of images that are put into a wrong class"

    def check(self, targets: Targets, names: Sequence[str], what: str) -> None:
        """Whole numbers (N,) below the number of names."""
        if targets.ndim != 1 or targets.dtype.kind not in "iu":
            raise InputError(
                f"{what} of a classification must be whole numbers (N,), but they are {targets.dtype} {targets.shape}."
            )
        wrong = np.flatnonzero((targets < 0) | (targets >= len(names)))
        if len(wrong):
            raise InputError(
                f"{what} must lie between 0 and {len(names) - 1}, for {len(names)} classes, but number {wrong[0]} is "
                f"{targets[wrong[0]]}."
            )

    def strata(self, targets: Targets) -> npt.NDArray[np.int64]:
        """The classes."""
        return np.asarray(targets, dtype=np.int64)

    def count_images(self, targets: Targets, outputs: int) -> npt.NDArray[np.int64]:
        """By class."""
        return np.bincount(targets, minlength=outputs)

    def make_encoder(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """Labels stay as they are."""
        return _unchanged

    def loss(
        self, logits: Tensor, targets: Tensor, smoothing: float = 0.0, class_weights: Tensor | None = None
    ) -> Tensor:
        """The cross entropy; `smoothing` spreads its share evenly over all classes."""
        return F.cross_entropy(logits, targets, weight=class_weights, label_smoothing=smoothing)

    def summed_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The sum of cross entropies."""
        return F.cross_entropy(logits, targets, reduction="sum")

    def divergence(self, logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """T^2 KL(softmax(teacher / T) || softmax(logits / T)) (Hinton, Vinyals & Dean, 2015, section 2).

        The gradient of the divergence falls as 1 / T^2; with the factor T^2 the weight of this loss beside others means
        the same at every temperature.
        """
        ours, theirs = ((each / temperature).log_softmax(1) for each in (logits, teacher))
        return temperature**2 * F.kl_div(ours, theirs, reduction="batchmean", log_target=True)

    def count_errors(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Images that are put into a wrong class, and all images, by their class."""
        counts = count_answers(logits, targets)
        images = counts.sum(1)
        return torch.stack([images - counts.diagonal(), images])

    @property
    def answer_layer(self) -> AnswerLayer:
        """Probabilities of the classes."""
        return SOFTMAX

    def to_logits(self, answers: Tensor) -> Tensor:
        """Probabilities have the order of logits, which is all that counts."""
        return answers

    def agree(self, answers: Tensor, expected: Tensor) -> Tensor:
        """The same class."""
        return answers.argmax(1) == expected.argmax(1)

    def select(self, answer: Tensor, top: int) -> list[int]:
        """The `top` most probable classes."""
        best: list[int] = answer.topk(min(top, len(answer))).indices.tolist()
        return best


CLASSIFICATION = Classification()
"""The task of data sets that name none."""


def count_answers(logits: Tensor, targets: Tensor) -> Tensor:
    """Images by their class (rows) and the class that a network answers (columns), int64 (classes, classes)."""
    classes = logits.shape[1]
    return torch.bincount(classes * targets + logits.argmax(1), minlength=classes**2).view(classes, classes)


def _unchanged(targets: Tensor) -> Tensor:
    return targets
