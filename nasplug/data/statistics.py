"""The mean and standard deviation of the pixels of a data set."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasplug.data.reading import read_in_chunks
from nasplug.errors import InputError
from nasplug.parts import Images

RESOLUTION = 1e-7
"""The relative distance of neighbouring numbers of float32, about; float64 sums leave less where all are equal."""
Sums = npt.NDArray[Any]
"""Of each image the sums of the values and of their squares by channel, (N, 2, C): int64, or float64 for float32."""


def mean_and_std(images: Images, indices: npt.NDArray[np.int64]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over the images at `indices`, on the scale from 0 to 1.

    A constant channel gets the standard deviation 1, so that normalisation makes it zero. Raises InputError if
    `indices` is empty.
    """
    if len(indices) == 0:
        raise InputError("Mean and standard deviation need at least one image, but there is none.")
    sums, pixels = [], 0
    for chunk in read_in_chunks(images, indices):
        sums.append(channel_sums(chunk))
        pixels = chunk[0, 0].numel()
    return mean_and_std_of(np.concatenate(sums), pixels)


def channel_sums(pixels: Tensor) -> Sums:
    """The sums of a batch of images, uint8 or float32 (n, C, H, W)."""
    values = pixels.to(torch.float64 if pixels.is_floating_point() else torch.int64)
    return torch.stack([values.sum((2, 3)), values.square().sum((2, 3))], 1).numpy()


def constant_channels(sums: Sums, pixels: int) -> tuple[int, ...]:
    """The channels that have one value everywhere, in images whose sums these are, of so many pixels each.

    Those of float32 as far as it can tell values apart.
    """
    return tuple(channel for channel in range(sums.shape[2]) if _is_constant(sums[:, :, channel], pixels))


def _is_constant(sums: Sums, pixels: int) -> bool:
    count = len(sums) * pixels
    if sums.dtype.kind == "f":
        total, squares = (math.fsum(column) for column in sums.T)
        return count * squares - total**2 <= RESOLUTION**2 * count * squares
    total, squares = sums.sum(0).tolist()
    return bool(count * squares == total**2)


def mean_and_std_of(sums: Sums, pixels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """As `mean_and_std`, of the images whose sums these are, of so many pixels each.

    Those of bytes are integers, so that the result does not depend on the order or on threads. Values of float32 are
    taken as they are, not on a scale from 0 to 1; their squares are exact in float64.
    """
    if sums.dtype.kind == "f":
        means, squares_means = sums.sum(0) / (len(sums) * pixels)
        deviations = np.sqrt(np.maximum(squares_means - means**2, 0)).tolist()
        constant = constant_channels(sums, pixels)
        return tuple(means.tolist()), tuple(
            1.0 if channel in constant else value for channel, value in enumerate(deviations)
        )
    total, squares = sums.sum(0).tolist()
    count = len(sums) * pixels
    means = tuple(channel / count / 255 for channel in total)
    # n * sum(x^2) - sum(x)^2 in Python integers of any size: exact, and therefore never negative.
    deviations = tuple(
        (count * square - channel * channel) ** 0.5 / count / 255 or 1.0
        for channel, square in zip(total, squares, strict=True)
    )
    return means, deviations
