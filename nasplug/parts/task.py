"""What the outputs of a network mean: what is minimised, what counts as an error, how images are divided, answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasplug.parts.answer_layer import AnswerLayer

Targets = npt.NDArray[Any]
"""The targets of images as a data set holds them, (N,) or (N, outputs)."""


@attrs.frozen
class Errors:
    """How much of what a network answers is wrong, by output (the classes of a classification)."""

    wrong: tuple[float, ...]
    """In the unit of the task: images, decisions, or squared residuals."""
    total: tuple[float, ...]
    """All there is of it by output; 0 for an output that says nothing."""

    @property
    def rate(self) -> float:
        """The share of all that is wrong, from 0; what a task counts is at most 1."""
        return sum(self.wrong) / sum(self.total)

    @property
    def by_output(self) -> list[float | None]:
        """The share of each output; None where there is nothing of it."""
        return [wrong / total if total else None for wrong, total in zip(self.wrong, self.total, strict=True)]

    @property
    def balanced(self) -> float:
        """The mean of the shares of the outputs; with classes, one minus the balanced accuracy."""
        known = [error for error in self.by_output if error is not None]
        return sum(known) / len(known)

    @classmethod
    def pooled(cls, parts: Sequence[Errors]) -> Self:
        """Those on several disjoint sets of images together."""
        return cls(
            tuple(map(sum, zip(*(part.wrong for part in parts), strict=True))),
            tuple(map(sum, zip(*(part.total for part in parts), strict=True))),
        )


class Task(ABC):
    """What a network answers to an image. A data set names its task; subclasses are frozen attrs classes.

    Logits are what a network gives, float (N, outputs). Targets have one form in a data set, which `check` describes,
    and another one in a batch, to which `make_encoder` leads and which the losses take.
    """

    name: ClassVar[str]
    """What files call it."""
    has_classes: ClassVar[bool] = False
    """Whether every image is of exactly one of several classes, which may be of unequal size."""
    smooths: ClassVar[bool] = True
    """Whether `loss` heeds `smoothing`."""
    output: ClassVar[str]
    """What an output is called, such as "class"."""
    outputs: ClassVar[str]
    """The plural of it."""
    value: ClassVar[str]
    """What the answer for one output is called, such as "probability"."""
    error: ClassVar[str]
    """What its error is, in words."""
    worst_error: ClassVar[float] = 1.0
    """What a network counts as whose training has diverged: no other is worse."""

    # -- data

    @abstractmethod
    def check(self, targets: Targets, names: Sequence[str], what: str) -> None:
        """Raises InputError unless `targets` of a data set have the form of this task, with an output for each name.

        `what` names them in messages.
        """

    def check_training(self, targets: Targets, names: Sequence[str], what: str) -> None:
        """Raises InputError if those of the training images of the data set `what` say too little. By default nothing.

        Classes are counted where images are divided.
        """

    def strata(self, targets: Targets) -> npt.NDArray[np.int64]:
        """The stratum of each image, (N,): splits and folds have their share of each. By default there is one."""
        return np.zeros(len(targets), np.int64)

    def count_images(self, targets: Targets, outputs: int) -> npt.NDArray[np.int64] | None:
        """How many images are of each class or have each label, (outputs,); None, the default, for numbers."""
        return None

    def fit(self, targets: Targets) -> Task:
        """This task with what is measured on the targets of training images; by default nothing is."""
        return self

    @abstractmethod
    def make_encoder(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """The function from targets of a data set to those of a batch; both are on `device`."""

    # -- training

    @abstractmethod
    def loss(
        self, logits: Tensor, targets: Tensor, smoothing: float = 0.0, class_weights: Tensor | None = None
    ) -> Tensor:
        """What is minimised, a scalar: the mean over images.

        `smoothing`, from 0 to below 1, moves that share of the target to what says nothing. `class_weights`,
        (classes,), are None unless the task has classes; the mean is weighted by them.
        """

    @abstractmethod
    def summed_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The sum over images of the loss, without smoothing and weights; a scalar."""

    @abstractmethod
    def divergence(self, logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """How far `logits` are from those of a teacher, (N, outputs) each: a scalar, the mean over images."""

    # -- evaluation

    @abstractmethod
    def count_errors(self, logits: Tensor, targets: Tensor) -> Tensor:
        """What is wrong, and all there is, (2, outputs), as in `Errors`: sums that add up over batches."""

    # -- answers

    @property
    @abstractmethod
    def answer_layer(self) -> AnswerLayer:
        """What an exported graph ends with."""

    @abstractmethod
    def to_logits(self, answers: Tensor) -> Tensor:
        """Logits with the errors of these answers."""

    @abstractmethod
    def agree(self, answers: Tensor, expected: Tensor) -> Tensor:
        """Whether two networks decide alike, bool (N,), by their answers, (N, outputs) each."""

    def largest_difference(self, answers: Tensor, expected: Tensor) -> float:
        """The largest difference between two networks' answers, on a scale on which answers are of the order of 1."""
        return float((answers - expected).abs().max())

    @abstractmethod
    def select(self, answer: Tensor, top: int) -> list[int]:
        """The outputs to show of the answer for one image, (outputs,), in this order; of classes the `top` best."""

    # -- record

    def to_dict(self) -> Mapping[str, Any]:
        """Plain data, from which `read_task` makes it again."""
        return {"name": self.name}
