"""The one training loop, for searches, retrainings and teachers alike."""

from __future__ import annotations

from nasplug.engine.evaluation import Confusion, measure_confusion, measure_errors
from nasplug.engine.runner import EagerRunner, Runner, train
from nasplug.engine.trainer import Stream, Trainer

__all__ = [
    "Confusion",
    "EagerRunner",
    "Runner",
    "Stream",
    "Trainer",
    "measure_confusion",
    "measure_errors",
    "train",
]
