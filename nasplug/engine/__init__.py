"""The one training loop: searching, retraining and training a teacher are all passes of it."""

from __future__ import annotations

from nasplug.engine.evaluation import error_rate
from nasplug.engine.loop import train, turn_loss
from nasplug.engine.phase import Phase, Stream

__all__ = ["Phase", "Stream", "error_rate", "train", "turn_loss"]
