"""From images to batches: splits, statistics, augmentation, and batches as a pure function of seed and step."""

from __future__ import annotations

from nasplug.data.augment import augment, cut_out, normalize
from nasplug.data.batches import BatchStream, sequential_batches
from nasplug.data.folds import Fold
from nasplug.data.images import MemoryImages
from nasplug.data.record import DataRecord
from nasplug.data.splits import Splits, divide, load_splits, make_splits, save_splits
from nasplug.data.statistics import mean_and_std

__all__ = [
    "BatchStream",
    "DataRecord",
    "Fold",
    "MemoryImages",
    "Splits",
    "augment",
    "cut_out",
    "divide",
    "load_splits",
    "make_splits",
    "mean_and_std",
    "normalize",
    "save_splits",
    "sequential_batches",
]
