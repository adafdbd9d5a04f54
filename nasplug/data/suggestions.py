"""Options that suit the images of a data set."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SIZES = (16, 32, 48, 64)
"""Sides that are suggested, in pixels; what training takes grows with the square of the side."""
LEAST_STEPS = 10
"""Steps of an epoch, at least; fewer hardly train a network."""
LEAST_BATCH = 8
"""The smallest batch, whose statistics batch norm can use."""


def suggest_size(shorter_sides: npt.NDArray[np.int64]) -> int:
    """The largest of SIZES to which at least half of the images need not be enlarged, else the smallest."""
    median = np.quantile(shorter_sides, 0.5, method="lower")
    return max((size for size in SIZES if size <= median), default=SIZES[0])


def suggest_batch_size(images: int, usual: int) -> int:
    """The usual batch size, or half of it and so on, so that an epoch of these images has LEAST_STEPS steps."""
    size = usual
    while size >= 2 * LEAST_BATCH and images < LEAST_STEPS * size:
        size //= 2
    return size
