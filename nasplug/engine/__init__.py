"""The one training loop: searching, retraining and training a teacher are all passes of it."""

from __future__ import annotations

from nasplug.engine.ahead.cuda_graphs import CudaGraphRecorder, GraphCache, Recorder
from nasplug.engine.evaluation import error_rate
from nasplug.engine.trainer import Stream, Trainer
from nasplug.engine.training_loop import make_step, run_groups, train

__all__ = [
    "CudaGraphRecorder",
    "GraphCache",
    "Recorder",
    "Stream",
    "Trainer",
    "error_rate",
    "make_step",
    "run_groups",
    "train",
]
