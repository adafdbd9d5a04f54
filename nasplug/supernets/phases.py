"""The phases of a map: the smaller maps of every second pixel, on which dilated convolutions are dense ones."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def phases(x: Tensor, step: int = 2) -> Tensor:
    """The map (N, C, H, W) as step^2 smaller ones, each of the pixels a step apart: (step^2 * N, C, H', W').

    They stand one after the other in the batch: first that of pixel (0, 0), then those of (0, 1), ..., (1, 0), ...
    Sides that do not divide get zeros at their end.
    """
    if any(size % step for size in x.shape[2:]):
        x = F.pad(x, (0, -x.shape[3] % step, 0, -x.shape[2] % step))
    pixels = x.permute(0, 2, 3, 1).unflatten(2, (-1, step)).unflatten(1, (-1, step))
    split: Tensor = pixels.permute(2, 4, 0, 1, 3, 5).flatten(0, 2).permute(0, 3, 1, 2)
    return split
