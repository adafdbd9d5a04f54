"""Batch-norm statistics of a trained network, measured on training images of the run."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nasplug.parts import Batch, Network
from nasplug.runs.context import RunContext
from nasplug.supernets import recalibrate

NORM_IMAGES = 8192
"""Images on which statistics are measured, at most; a few thousand are as good as all (Wu and Johnson, 2021)."""
NORM_BATCH = 256
"""Images in a batch of these, at most."""


def measure_norms(context: RunContext, net: Network) -> int:
    """Measures the statistics of every batch norm on training images, with the weights as they are.

    The images are not augmented, like those that the network is used on, and the same for all networks of a run.
    Everything else computes in evaluation mode, so that nothing is dropped. Returns the number of images.
    """
    recalibrate(net, (batch.images for batch in norm_batches(context, NORM_IMAGES)))
    return min(NORM_IMAGES, len(context.splits.train))


def norm_batches(context: RunContext, count: int) -> Iterator[Batch]:
    """At most `count` training images, in batches of equal size or nearly so: all count the same in the statistics."""
    indices = context.splits.train
    count = min(count, len(indices))
    size = math.ceil(count / math.ceil(count / NORM_BATCH))
    return context.sample_batches(indices, count, size, "norm statistics")
