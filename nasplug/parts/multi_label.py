"""Several labels for each image, each of which it has or has not."""

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
from nasplug.parts.answer_layer import AnswerLayer
from nasplug.parts.task import Targets, Task

FEWEST = 2
"""The least number of training images that have a label, and of those that do not."""


@attrs.frozen
class MultiLabel(Task):
    """Every image has any number of labels: targets are 0 or 1, uint8 (N, labels), one column for each label.

    The loss is the binary cross entropy, the mean over labels. A label is answered where its probability is above one
    half, that is, its logit above 0; the error is the share of these decisions that are wrong. Images are divided by
    the rarest label that they have.
    """

    name: ClassVar[str] = "multi-label"
    output: ClassVar[str] = "label"
    outputs: ClassVar[str] = "labels"
    value: ClassVar[str] = "probability"
    error: ClassVar[str] = "the share of label decisions (one for each label of each image) that are wrong"

    def check(self, targets: Targets, names: Sequence[str], what: str) -> None:
        """0 or 1, uint8 (N, labels)."""
        if targets.ndim != 2 or targets.shape[1] != len(names) or targets.dtype != np.uint8:
            raise InputError(
                f"{what} must be uint8 (N, {len(names)}), with a column for each label, but they are {targets.dtype} "
                f"{targets.shape}."
            )
        wrong = np.argwhere(targets > 1)
        if len(wrong):
            image, label = wrong[0].tolist()
            raise InputError(
                f"{what} must be 0 or 1, but that of image {image} for the label '{names[label]}' is "
                f"{targets[image, label]}."
            )

    def check_training(self, targets: Targets, names: Sequence[str], what: str) -> None:
        """Each label needs FEWEST images that have it and as many that do not."""
        having = targets.sum(0, dtype=np.int64)
        fewer = np.minimum(having, len(targets) - having)
        label = int(fewer.argmin())
        if fewer[label] < FEWEST:
            raise InputError(
                f"The label '{names[label]}' of data set '{what}' is on {having[label]} of the {len(targets)} images "
                f"for training, and at least {FEWEST} must have it and {FEWEST} not have it; add such images, or leave "
                f"the label out."
            )

    def strata(self, targets: Targets) -> npt.NDArray[np.int64]:
        """The rarest label of each image, and one more stratum for images without labels.

        It is a short form of iterative stratification, which deals out the images of the rarest label first (Sechidis,
        Tsoumakas and Vlahavas, On the Stratification of Multi-Label Data, ECML PKDD 2011).
        """
        by_rarity = np.argsort(targets.sum(0, dtype=np.int64), kind="stable")
        ordered = targets[:, by_rarity] > 0
        strata: npt.NDArray[np.int64] = np.where(ordered.any(1), by_rarity[ordered.argmax(1)], targets.shape[1])
        return strata

    def count_images(self, targets: Targets, outputs: int) -> npt.NDArray[np.int64]:
        """By label, those that have it."""
        having: npt.NDArray[np.int64] = targets.sum(0, dtype=np.int64)
        return having

    def make_encoder(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """0 and 1 in float32."""
        return torch.Tensor.float

    def loss(
        self, logits: Tensor, targets: Tensor, smoothing: float = 0.0, class_weights: Tensor | None = None
    ) -> Tensor:
        """The mean binary cross entropy; `smoothing` moves that share of each target to one half."""
        targets = targets.to(logits.dtype)
        if smoothing:
            targets = targets * (1 - smoothing) + smoothing / 2
        return F.binary_cross_entropy_with_logits(logits, targets)

    def summed_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The sum over images of the mean over labels."""
        summed = F.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype), reduction="sum")
        return summed / logits.shape[1]

    def divergence(self, logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """T^2 times the mean over labels of the KL divergence of two decisions, with probabilities sigmoid(z / T)."""
        ours, theirs = logits / temperature, teacher / temperature
        having = theirs.sigmoid() * (F.logsigmoid(theirs) - F.logsigmoid(ours))
        lacking = (-theirs).sigmoid() * (F.logsigmoid(-theirs) - F.logsigmoid(-ours))
        return temperature**2 * (having + lacking).mean()

    def count_errors(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Wrong decisions, and all decisions, by label."""
        wrong = ((logits > 0) != (targets > 0)).sum(0)
        return torch.stack([wrong, torch.full_like(wrong, len(targets))])

    @property
    def answer_layer(self) -> AnswerLayer:
        """The probability of each label."""
        return AnswerLayer("sigmoid")

    def to_logits(self, answers: Tensor) -> Tensor:
        """Above 0 where the probability is above one half."""
        return answers - 0.5

    def agree(self, answers: Tensor, expected: Tensor) -> Tensor:
        """The same labels."""
        return ((answers > 0.5) == (expected > 0.5)).all(1)

    def select(self, answer: Tensor, top: int) -> list[int]:
        """The labels with probabilities above one half, the most probable first, whatever `top` is."""
        order: list[int] = answer.argsort(descending=True, stable=True).tolist()
        return [place for place in order if answer[place] > 0.5]
