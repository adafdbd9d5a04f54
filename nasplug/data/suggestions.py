"""Options that suit the images of a data set."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SMALLEST, LARGEST, STEP = 8, 64, 4
"""Sides that are suggested, in pixels: from, to, and the number of which they are multiples.

What training takes grows with the square of the side, so larger ones have to be asked for.
"""
LEAST_STEPS = 10
"""Steps of an epoch, at least; fewer hardly train a network."""
LEAST_BATCH = 8
"""The smallest batch, whose statistics batch norm can use."""


def suggest_size(shorter_sides: npt.NDArray[np.int64]) -> int:
    """The largest side to which at least half of the images need not be enlarged, else the smallest."""
    median = int(np.quantile(shorter_sides, 0.5, method="lower")) if len(shorter_sides) else 0
    return min(max(median // STEP * STEP, SMALLEST), LARGEST)


def suggest_batch_size(images: int, usual: int) -> int:
    """The usual batch size, or half of it and so on, so that an epoch of these images has LEAST_STEPS steps."""
    size = usual
    while size >= 2 * LEAST_BATCH and images < LEAST_STEPS * size:
        size //= 2
    return size
