"""Numbers for each image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import attrs
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nasplug.errors import InputError
from nasplug.parts.answer_layer import AnswerLayer
from nasplug.parts.task import Targets, Task
from nasplug.parts.transfer import send

CLOSE = 0.1
"""Values agree that differ by less than so many deviations of the targets: a hundredth of the variance at most.

Whether a file in floats computes the same as its network is judged by `largest_difference`, which is far stricter."""


@attrs.frozen
class Regression(Task):
    """Every image has numbers: targets are float32 (N, outputs), in whatever unit each column has.

    They are standardised by the mean and deviation of the training images; networks learn the standardised ones by
    their mean squared error, and answer in the unit of the targets. The error is the share of the variance that is not
    explained, sum (y - f)^2 / sum (y - m)^2 over images and outputs, with the mean m of the training images: 1 - R^2
    out of sample (Campbell and Thompson, Predicting Excess Stock Returns Out of Sample, Review of Financial Studies
    2008). Always answering m has the error 1, and a network can be worse than that. Images are divided at random.
    """

    name: ClassVar[str] = "regression"
    smooths: ClassVar[bool] = False
    output: ClassVar[str] = "output"
    outputs: ClassVar[str] = "outputs"
    value: ClassVar[str] = "value"
    error: ClassVar[str] = (
        "the share of the variance that is not explained (1 - R^2): 100 % for always answering the mean of the "
        "training images, more for what is worse"
    )
    worst_error: ClassVar[float] = 1e6

    mean: tuple[float, ...] = ()
    """By output, that of the training images, as `fit` has measured it."""
    std: tuple[float, ...] = ()
    """By output, their standard deviation."""

    def check(self, targets: Targets, names: Sequence[str], what: str) -> None:
        """Finite numbers, float32 (N, outputs)."""
        if targets.ndim != 2 or targets.shape[1] != len(names) or targets.dtype != np.float32:
            raise InputError(
                f"{what} must be float32 (N, {len(names)}), with a column for each output, but they are "
                f"{targets.dtype} {targets.shape}."
            )
        wrong = np.argwhere(~np.isfinite(targets))
        if len(wrong):
            image, output = wrong[0].tolist()
            raise InputError(
                f"{what} must be finite numbers, but that of image {image} for '{names[output]}' is "
                f"{targets[image, output]}; leave out images without a value."
            )

    def check_training(self, targets: Targets, names: Sequence[str], what: str) -> None:
        """Each output needs different numbers."""
        constant = np.flatnonzero((targets == targets[:1]).all(0))
        if len(constant):
            raise InputError(
                f"'{names[constant[0]]}' of data set '{what}' is {targets[0, constant[0]]:g} for all {len(targets)} "
                f"images for training, so that there is nothing to learn; leave it out."
            )

    def fit(self, targets: Targets) -> Regression:
        """With the mean and deviation of these targets."""
        values = targets.astype(np.float64)
        return attrs.evolve(self, mean=tuple(values.mean(0).tolist()), std=tuple(values.std(0).tolist()))

    def make_encoder(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """Standardised, in float32."""
        mean, std = send(torch.tensor([self.mean, self.std], dtype=torch.float32), device)
        return lambda targets: (targets - mean) / std

    def loss(
        self, logits: Tensor, targets: Tensor, smoothing: float = 0.0, class_weights: Tensor | None = None
    ) -> Tensor:
        """The mean squared error; nothing is smoothed."""
        return F.mse_loss(logits, targets.to(logits.dtype))

    def summed_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The sum over images of the mean over outputs."""
        return F.mse_loss(logits, targets.to(logits.dtype), reduction="sum") / logits.shape[1]

    def divergence(self, logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """The mean squared distance to the teacher's answers, at any temperature."""
        return F.mse_loss(logits, teacher)

    def count_errors(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Squared residuals, and squared deviations from the mean of the training images, by output, in float64."""
        targets = targets.double()
        return torch.stack([(logits.double() - targets).square().sum(0), targets.square().sum(0)])

    @property
    def answer_layer(self) -> AnswerLayer:
        """The values in the unit of the targets."""
        return AnswerLayer(
            "affine", divisor=tuple(1 / std for std in self.std), offset=tuple(-mean for mean in self.mean)
        )

    def to_logits(self, answers: Tensor) -> Tensor:
        """Standardised values."""
        return (answers - answers.new_tensor(self.mean)) / answers.new_tensor(self.std)

    def agree(self, answers: Tensor, expected: Tensor) -> Tensor:
        """The same values, but for a tenth of a deviation of the targets."""
        return ((answers - expected).abs() / answers.new_tensor(self.std) < CLOSE).all(1)

    def largest_difference(self, answers: Tensor, expected: Tensor) -> float:
        """In deviations of the targets, beyond the distance of neighbouring numbers in float32.

        That may be a large share of a deviation: at pressures about 101,325 it is 0.0078.
        """
        rounding = torch.maximum(answers.abs(), expected.abs()) * torch.finfo(torch.float32).eps
        apart = ((answers - expected).abs() - rounding).clamp_min(0)
        return float((apart / answers.new_tensor(self.std)).max())

    def select(self, answer: Tensor, top: int) -> list[int]:
        """All outputs, whatever `top` is."""
        return list(range(len(answer)))

    def to_dict(self) -> Mapping[str, Any]:
        """Its name, and what was measured."""
        return {"name": self.name, "mean": list(self.mean), "std": list(self.std)}
