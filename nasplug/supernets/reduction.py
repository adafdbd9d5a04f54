"""Reductions of many candidates at once: maps halved by two 1x1 convolutions, the second one pixel further (DARTS)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nasplug.supernets.convolution import pointwise
from nasplug.supernets.separable import Source
from nasplug.supernets.space_to_batch import every_second


def reduce_maps(sources: Sequence[Source], kernels: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """The results of G reductions side by side, (N, G * C, ceil(H / 2), ceil(W / 2)).

    `kernels`, in the order of the sources, holds both kernels of each reduction; the second reads the pixels between
    those that the first reads. All that read one state are two matrix products.
    """
    results, rest = [], list(kernels)
    for state, count in sources:
        readers, rest = rest[:count], rest[count:]
        halves = [
            pointwise(pixels, weights[0] if count == 1 else torch.cat(weights))
            for pixels, weights in zip(every_second(state, (0, 1)), zip(*readers, strict=True), strict=True)
        ]
        # Each product holds its half of every reduction; the halves of a reduction belong side by side.
        split = [half.permute(0, 2, 3, 1).unflatten(3, (count, -1)) for half in halves]
        results.append(torch.cat(split, 4).flatten(3).permute(0, 3, 1, 2))
    return results[0] if len(results) == 1 else torch.cat(results, 1)
