"""How weights are trained, in a search or a retraining."""

from __future__ import annotations

import math
from typing import Self

import attrs

from nasplug.errors import InputError
from nasplug.values.clock import StepInfo
from nasplug.values.options import option

OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop")
LR_SCHEDULES = ("cosine", "linear", "linear-tail", "step", "constant")
LR_INTERVALS = ("epoch", "step")
BALANCES = ("none", "weights", "sampling")
AUGMENTATIONS = ("none", "standard", "autoaugment", "autoaugment-pillow", "imagenet", "imagenet-autoaugment")
TAIL = 5
"""Epochs at the end over which the schedule linear-tail falls more slowly."""


@attrs.frozen
class Training:
    """Options of one training. The defaults are those of retraining on small images."""

    epochs: int = option(25, "passes over the training images", at_least=1)
    batch_size: int = option(64, "images per step", at_least=2)
    accumulate: int = option(
        1,
        "parts into which the batch of a step is divided; their gradients are added up, so that less memory is needed",
        at_least=1,
    )
    optimizer: str = option("sgd", "optimizer of the weights", choices=OPTIMIZERS)
    lr: float = option(0.025, "learning rate of the weights at the start (after warm-up)", above=0)
    lr_min: float = option(0.0, "learning rate at the end (cosine and linear), or that step comes near to", at_least=0)
    lr_schedule: str = option("cosine", "schedule of the learning rate", choices=LR_SCHEDULES)
    lr_interval: str = option(
        "epoch",
        "how often the rate falls (cosine, linear and linear-tail): after every epoch or every step",
        choices=LR_INTERVALS,
    )
    lr_warmup: float = option(0.0, "epochs of linear warm-up", at_least=0)
    lr_decay: float = option(0.97, "factor of the learning rate at each step (step)", above=0, at_most=1)
    lr_decay_epochs: float = option(1.0, "epochs between two steps, whole or not (step)", above=0)
    momentum: float = option(0.9, "momentum of sgd and rmsprop", at_least=0, below=1)
    nesterov: bool = option(False, "whether sgd looks ahead along its momentum")
    betas: tuple[float, ...] = option(
        (0.9, 0.999), "averaging constants of adam and adamw", at_least=0, below=1, length=2
    )
    rho: float = option(0.9, "averaging constant of the squared gradient of rmsprop", at_least=0, below=1)
    eps: float | None = option(None, "eps of the optimizer; unset: 1e-8 for adam, adamw, 1e-3 for rmsprop", above=0)
    weight_decay: float = option(3e-4, "weight decay of the weights", at_least=0)
    decay_norms: bool = option(
        True, "whether biases and scales of norms decay, too, or tensors of more dimensions only"
    )
    clip: float = option(5.0, "largest norm of the weights' gradient; 0 switches clipping off", at_least=0)
    augment: str = option("standard", "augmentation of training images", choices=AUGMENTATIONS)
    color_jitter: tuple[float, ...] = option(
        (0.0, 0.0, 0.0, 0.0), "strength of random brightness, contrast, saturation and hue", at_least=0, length=4
    )
    cutout: int = option(
        0,
        "side of the square cut out of training images, in pixels, or samples cut out of signals; 0 is off",
        at_least=0,
    )
    noise: float = option(
        0.0, "standard deviation of normal noise added to normalised training images and signals; 0 is off", at_least=0
    )
    random_erasing: float = option(
        0.0, "probability that noise covers a box of a training image", at_least=0, at_most=1
    )
    balance: str = option(
        "none",
        "what makes up for classes of unequal size: weights (of the classes, in the loss), sampling (of every class "
        "equally often) or none",
        choices=BALANCES,
    )
    label_smoothing: float = option(0.0, "share of the target spread over all classes", at_least=0, below=1)
    drop_path: float = option(0.0, "probability, at the end of training, that a path is dropped", at_least=0, below=1)
    drop_path_ramp: bool = option(True, "whether drop_path grows from 0, epoch by epoch, or holds from the start")
    dropout: float = option(0.0, "probability that an input of the classifier is zeroed", at_least=0, below=1)
    auxiliary: float = option(0.0, "weight of the auxiliary head's loss; 0 builds none", at_least=0)
    ema: float = option(
        0.0, "decay of the moving average of the weights, which is what is kept; 0 is off", at_least=0, below=1
    )

    def __attrs_post_init__(self) -> None:
        if self.batch_size % self.accumulate or self.batch_size < 2 * self.accumulate:
            raise InputError(
                f"Option 'accumulate' divides a batch into equal parts of at least 2 images, but with "
                f"batch_size={self.batch_size} it is {self.accumulate}; make batch_size a multiple of it, at least "
                f"{2 * self.accumulate}."
            )
        if self.nesterov and (self.optimizer != "sgd" or self.momentum == 0):
            raise InputError(
                f"Option 'nesterov' looks ahead along the momentum of sgd, but the optimizer is {self.optimizer} with "
                f"momentum {self.momentum:g}; set optimizer=sgd with a momentum above 0, or nesterov=false."
            )
        if self.color_jitter[3] > 0.5:
            raise InputError(
                f"Option 'color_jitter' turns the hue by at most half a circle, so its last value must be at most 0.5, "
                f"but it is {self.color_jitter[3]:g}."
            )

    def rate(self, now: StepInfo) -> float:
        """The learning rate of this step.

        Warm-up raises it in every step. After that it is constant within an epoch, unless `lr_interval` is "step", or
        the schedule "step" lowers it there. A pure function of `now`, so that there is no scheduler state to save.
        """
        warm_steps = round(self.lr_warmup * now.steps_per_epoch)
        if now.step < warm_steps:
            return self.lr * (now.step + 1) / warm_steps
        return self.lr_min + (self.lr - self.lr_min) * self._lr_share(now)

    def with_epochs(self, epochs: int) -> Self:
        """This training over another number of epochs, its learning rate over them the same curve.

        The tail of the schedule linear-tail keeps its length.
        """
        if epochs == self.epochs:
            return self
        share = epochs / self.epochs
        return attrs.evolve(
            self, epochs=epochs, lr_warmup=share * self.lr_warmup, lr_decay_epochs=share * self.lr_decay_epochs
        )

    def shortened(self, epochs: int) -> Self:
        """This training over another number of epochs, as `with_epochs`, for a first impression of what it comes to.

        If they are fewer, the learning rate falls from step to step: by epochs, the last one of few would have much of
        the rate left, and the errors would be those of weights that had not settled.
        """
        training = self.with_epochs(epochs)
        return attrs.evolve(training, lr_interval="step") if epochs < self.epochs else training

    def drop_path_at(self, now: StepInfo) -> float:
        """The probability of dropping a path in this step; with the ramp it grows from epoch to epoch, as in DARTS."""
        return self.drop_path * now.epoch / now.epochs if self.drop_path_ramp else self.drop_path

    def _lr_share(self, now: StepInfo) -> float:
        """The position of the learning rate between `lr_min` (0) and `lr` (1).

        The schedules step and linear-tail count epochs from the start of the training, warm-up included, as in
        EfficientNet and PC-DARTS; cosine and linear count from the end of the warm-up.
        """
        if self.lr_schedule == "step":
            # The margin keeps a quotient that should be whole from being rounded to less.
            return self.lr_decay ** math.floor(now.step / (self.lr_decay_epochs * now.steps_per_epoch) + 1e-9)
        if self.lr_schedule == "linear-tail":
            tail, left = min(TAIL, now.epochs - 1), now.epochs - self._epochs_over(now)
            return (left - tail if left > tail else left / tail) / (now.epochs - tail)
        least = 0.0 if self.lr_interval == "step" else 1.0
        done = max(0.0, self._epochs_over(now) - self.lr_warmup) / max(least, now.epochs - self.lr_warmup)
        return {"constant": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}[self.lr_schedule]

    def _epochs_over(self, now: StepInfo) -> float:
        """The epochs that count as over for the learning rate."""
        return now.step / now.steps_per_epoch if self.lr_interval == "step" else now.epoch
