"""Splits maps into smaller maps of every n-th pixel, on which dilated convolutions become dense ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def space_to_batch(x: Tensor, step: int = 2) -> Tensor:
    """The map (N, C, H, W) as step^2 smaller maps, each of pixels `step` apart: (step^2 * N, C, H', W').

    They are concatenated along the batch: first the map that starts at pixel (0, 0), then those of (0, 1), ..., (1, 0),
    ... Sides that are not divisible by `step` are padded with zeros at their end.
    """
    if any(size % step for size in x.shape[2:]):
        x = F.pad(x, (0, -x.shape[3] % step, 0, -x.shape[2] % step))
    pixels = x.permute(0, 2, 3, 1).unflatten(2, (-1, step)).unflatten(1, (-1, step))
    split: Tensor = pixels.permute(2, 4, 0, 1, 3, 5).flatten(0, 2).permute(0, 3, 1, 2)
    return split


def every_second(x: Tensor, firsts: Sequence[int] = (0,)) -> tuple[Tensor, ...]:
    """For each of `firsts`, every second pixel of every second row, starting at that row and column: (N, C, H', W').

    `firsts` contains 0, 1 or both. H' and W' are rounded up; missing pixels of maps of odd size are zeros. A map of one
    row, such as that of a signal, is read along it alone: from its row 0 on for every one of `firsts`.
    """
    maps: tuple[Tensor, ...] = _EverySecond.apply(x, tuple(firsts))
    return maps


class _EverySecond(torch.autograd.Function):
    """The maps of `every_second`.

    Torch's gradient of a slice writes a whole map for every dimension, and in contiguous layout, which slows down
    everything after it. This gradient writes one channels-last map for all slices.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, firsts: tuple[int, ...]) -> tuple[Tensor, ...]:
        ctx.shape, ctx.firsts = x.shape, firsts
        height, width = x.shape[2:]
        ctx.rows = [first if height > 1 else 0 for first in firsts]
        if any(firsts) and (height % 2 or width % 2):
            x = F.pad(x, (0, width % 2, 0, height % 2))
        return tuple(
            x[:, :, row : height + row : 2, first : width + first : 2].clone(memory_format=torch.channels_last)
            for row, first in zip(ctx.rows, firsts, strict=True)
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        count, channels, height, width = ctx.shape
        by_x = gradients[0].new_zeros(count, height, width, channels).permute(0, 3, 1, 2)
        for row, first, gradient in zip(ctx.rows, ctx.firsts, gradients, strict=True):
            pixels = by_x[:, :, row::2, first::2]
            pixels.copy_(gradient[:, :, : pixels.shape[2], : pixels.shape[3]])
        return by_x, None
