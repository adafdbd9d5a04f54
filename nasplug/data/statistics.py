"""The mean and standard deviation of the pixels of a data set."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from nasplug.data.reading import read_in_chunks
from nasplug.errors import InputError
from nasplug.parts import Images


def mean_and_std(images: Images, indices: npt.NDArray[np.int64]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over the images at `indices`, on the scale from 0 to 1.

    The sums are integers, so that the result does not depend on the order or on threads. A constant channel gets the
    standard deviation 1, so that normalisation makes it zero. Raises InputError if `indices` is empty.
    """
    if len(indices) == 0:
        raise InputError("Mean and standard deviation need at least one image, but there is none.")
    parts = []
    pixels = 0
    for chunk in read_in_chunks(images, indices):
        values = chunk.to(torch.int64)
        parts.append(torch.stack([values.sum((0, 2, 3)), values.square().sum((0, 2, 3))]))
        pixels += values.numel() // values.shape[1]
    total, squares = torch.stack(parts).sum(0).tolist()
    means = tuple(channel / pixels / 255 for channel in total)
    # n * sum(x^2) - sum(x)^2 in Python integers of any size: exact, and therefore never negative.
    deviations = tuple(
        (pixels * square - channel * channel) ** 0.5 / pixels / 255 or 1.0
        for channel, square in zip(total, squares, strict=True)
    )
    return means, deviations
