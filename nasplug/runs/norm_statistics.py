"""Batch-norm statistics of a trained network, measured on training images of the run."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from nasplug.parts import Batch, Network
from nasplug.runs.context import RunContext
from nasplug.supernets import recalibrate

NORM_IMAGES = 8192
"""Images on which statistics are measured, at most; a few thousand are as good as all (Wu and Johnson, 2021)."""
NORM_BATCH = 256
"""Images in a batch of these, at most."""


def measure_norms(context: RunContext, net: Network, train: npt.NDArray[np.int64]) -> int:
    """Measures the statistics of every batch norm on the training images at `train`, with the weights as they are.

    The images are not augmented, like those that the network is used on, and the same for all networks of a run that
    are trained on the same.
    Everything else computes in evaluation mode, so that nothing is dropped. Returns the number of images.
    """
    recalibrate(net, (batch.images for batch in norm_batches(context, train, NORM_IMAGES)))
    return min(NORM_IMAGES, len(train))


def norm_batches(context: RunContext, train: npt.NDArray[np.int64], count: int) -> Iterator[Batch]:
    """At most `count` of the images at `train`, in batches of (nearly) equal size: all count the same in statistics."""
    count = min(count, len(train))
    size = math.ceil(count / math.ceil(count / NORM_BATCH))
    return context.sample_batches(train, count, size, "norm statistics")
