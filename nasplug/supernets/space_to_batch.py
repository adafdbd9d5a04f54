"""The phases of a map: the smaller maps of every second pixel, on which dilated convolutions are dense ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def space_to_batch(x: Tensor, step: int = 2) -> Tensor:
    """The map (N, C, H, W) as step^2 smaller ones, each of the pixels a step apart: (step^2 * N, C, H', W').

    They stand one after the other in the batch: first that of pixel (0, 0), then those of (0, 1), ..., (1, 0), ...
    Sides that do not divide get zeros at their end.
    """
    if any(size % step for size in x.shape[2:]):
        x = F.pad(x, (0, -x.shape[3] % step, 0, -x.shape[2] % step))
    pixels = x.permute(0, 2, 3, 1).unflatten(2, (-1, step)).unflatten(1, (-1, step))
    split: Tensor = pixels.permute(2, 4, 0, 1, 3, 5).flatten(0, 2).permute(0, 3, 1, 2)
    return split


def every_second(x: Tensor, firsts: Sequence[int] = (0,)) -> tuple[Tensor, ...]:
    """For each of `firsts`, every second pixel of every second row from that row and column on: (N, C, H', W').

    `firsts` are 0, 1 or both. H' and W' are rounded up; where a map of odd size has too few pixels, zeros follow.
    """
    found: tuple[Tensor, ...] = _EverySecond.apply(x, tuple(firsts))
    return found


class _EverySecond(torch.autograd.Function):
    """The maps of `every_second`.

    Torch's gradient of a slice writes a whole map for every dimension, and in contiguous layout, at the cost of
    everything that follows. This one writes one map for all slices.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, firsts: tuple[int, ...]) -> tuple[Tensor, ...]:
        ctx.shape, ctx.firsts = x.shape, firsts
        height, width = x.shape[2:]
        if any(firsts) and (height % 2 or width % 2):
            x = F.pad(x, (0, width % 2, 0, height % 2))
        return tuple(
            x[:, :, first : height + first : 2, first : width + first : 2].clone(memory_format=torch.channels_last)
            for first in firsts
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        count, channels, height, width = ctx.shape
        found = gradients[0].new_zeros(count, height, width, channels).permute(0, 3, 1, 2)
        for first, gradient in zip(ctx.firsts, gradients, strict=True):
            pixels = found[:, :, first::2, first::2]
            pixels.copy_(gradient[:, :, : pixels.shape[2], : pixels.shape[3]])
        return found, None
