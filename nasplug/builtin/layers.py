"""What networks of several spaces have in common: drop path, the size of a map after stride 2, the cost of layers."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from nasplug.values import Cost


def drop_path(x: Tensor, probability: float) -> Tensor:
    """Zeroes whole samples of (N, C, H, W) with this probability and scales the others to keep the mean (DARTS)."""
    keep = 1.0 - probability
    mask = x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(keep)
    return x * (mask / keep)


def half_size(size: int) -> int:
    """The side of a map of `size` pixels after any operation of stride 2."""
    return (size + 1) // 2


def total_cost(parts: Iterable[Cost]) -> Cost:
    """The sum of costs."""
    parts = tuple(parts)
    return Cost(params=sum(part.params for part in parts), macs=sum(part.macs for part in parts))


def convolution_cost(weights: int, pixels: int, norm_channels: int = 0) -> Cost:
    """Convolutions without bias, followed by affine batch norms.

    `weights` counts their weights, `pixels` those of the map that they give, `norm_channels` the channels of the batch
    norms. Multiply-accumulates of batch norms are not counted.
    """
    return Cost(params=weights + 2 * norm_channels, macs=weights * pixels)


def linear_cost(in_features: int, out_features: int) -> Cost:
    """A linear layer with bias; the additions of the bias are not counted."""
    return Cost(params=(in_features + 1) * out_features, macs=in_features * out_features)
