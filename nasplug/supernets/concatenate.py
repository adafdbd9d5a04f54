"""Concatenation of maps along their channels, with gradients that are maps of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def concatenate(maps: Sequence[Tensor]) -> Tensor:
    """`torch.cat(maps, 1)`; the gradients of the maps are dense and in channels-last layout.

    Torch's are slices of the gradient of the result, on which everything that reads them is slower.
    """
    result: Tensor = _Concatenate.apply(*maps)
    return result


class _Concatenate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *maps: Tensor) -> Tensor:
        ctx.sizes = [map_.shape[1] for map_ in maps]
        return torch.cat(maps, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        parts = gradients[0].split(ctx.sizes, 1)
        return tuple(part.contiguous(memory_format=torch.channels_last) for part in parts)
