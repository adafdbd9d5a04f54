"""The one training loop, for searches, retrainings and teachers alike."""

from __future__ import annotations

from nasplug.engine.evaluation import error_rate
from nasplug.engine.runner import EagerRunner, Runner, train
from nasplug.engine.trainer import Stream, Trainer

__all__ = ["EagerRunner", "Runner", "Stream", "Trainer", "error_rate", "train"]
