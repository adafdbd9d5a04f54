"""How weights are trained, in a search as in a retraining."""

from __future__ import annotations

import math

import attrs

from nasplug.values.clock import Now
from nasplug.values.options import option


@attrs.frozen
class Training:
    """Options of one training. The defaults are those of retraining on small images."""

    epochs: int = option(25, "passes over the training images", at_least=1)
    batch_size: int = option(64, "images per step", at_least=1)
    optimizer: str = option("sgd", "optimizer of the weights", choices=("sgd", "adam"))
    lr: float = option(0.025, "learning rate of the weights at the start (after warm-up)", above=0)
    lr_min: float = option(0.0, "learning rate at the end (cosine and linear)", at_least=0)
    lr_schedule: str = option("cosine", "course of the learning rate", choices=("cosine", "linear", "constant"))
    lr_warmup: float = option(0.0, "epochs of linear warm-up", at_least=0)
    momentum: float = option(0.9, "momentum of sgd", at_least=0, below=1)
    betas: tuple[float, ...] = option((0.9, 0.999), "averaging constants of adam", at_least=0, below=1, length=2)
    weight_decay: float = option(3e-4, "weight decay of the weights", at_least=0)
    clip: float = option(5.0, "largest norm of the weights' gradient; 0 switches clipping off", at_least=0)
    augment: str = option("standard", "augmentation of training images", choices=("none", "standard", "autoaugment"))
    cutout: int = option(0, "side of the square cut out of training images, in pixels; 0 is off", at_least=0)
    label_smoothing: float = option(0.0, "share of the target spread over all classes", at_least=0, below=1)
    drop_path: float = option(0.0, "probability, at the end of training, that a path is dropped", at_least=0, below=1)
    auxiliary: float = option(0.0, "weight of the auxiliary head's loss; 0 builds none", at_least=0)

    def rate(self, now: Now) -> float:
        """The learning rate of this step: constant within an epoch, but for the warm-up that grows with each step.

        A pure function of the clock, so that there is no scheduler state to save.
        """
        warm_steps = round(self.lr_warmup * now.steps_per_epoch)
        if now.step < warm_steps:
            return self.lr * (now.step + 1) / warm_steps
        done = max(0.0, now.epoch - self.lr_warmup) / max(1.0, now.epochs - self.lr_warmup)
        course = {"constant": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}[self.lr_schedule]
        return self.lr_min + (self.lr - self.lr_min) * course
