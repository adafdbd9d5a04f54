"""The one training loop: searching, retraining and training a teacher are all passes of it."""

from __future__ import annotations

from nasplug.engine.evaluation import error_rate
from nasplug.engine.loop import make_step, settled, train
from nasplug.engine.phase import Phase, Stream
from nasplug.engine.replaying import CudaRecorder, Recorder, Replays

__all__ = [
    "CudaRecorder",
    "Phase",
    "Recorder",
    "Replays",
    "Stream",
    "error_rate",
    "make_step",
    "settled",
    "train",
]
