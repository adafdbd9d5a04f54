"""Batch norm by the statistics of the batch: forward and backward pass, fast also for large maps of few channels.

Torch's batch norm of a channels-last map computes pixel by pixel. Pixels of 8 channels are too short for vector units:
then it takes four times as long as its memory traffic. Here adjacent pixels are taken together, as one pixel of 16, 32,
... channels, which needs no copy, and the sums over copies of a channel are added. On small maps the calls that this
adds cost more than it saves.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

EPS = 1e-5
FEW_CHANNELS = 16
"""Pixels of at most so many channels are taken together ..."""
MANY_PIXELS = 1 << 15
"""... if a batch has at least so many of them, ..."""
WIDTH = 128
"""... until they have so many channels."""


class Normalised(NamedTuple):
    """A batch norm's result (N, C, H, W), and the mean and inverse standard deviation of each channel, (C,)."""

    map: Tensor
    mean: Tensor
    inverse: Tensor


class NormGradients(NamedTuple):
    """The gradients of a batch norm; None for a map's that was not asked for."""

    x: Tensor | None
    weight: Tensor
    bias: Tensor


def normalise(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = EPS) -> Normalised:
    """Batch norm of a map (N, C, H, W), scaled by `weight` and shifted by `bias`, (C,); without autograd."""
    fold = _fold_factor(x)
    if fold == 1:
        return Normalised(*torch.ops.aten.native_batch_norm(x, weight, bias, None, None, True, 0.0, eps))
    means, variances = (
        values.view(fold, -1) for values in torch.ops.aten.batch_norm_update_stats(_fold(x, fold), None, None, 0.0)
    )
    # The variance of all is the mean of the variances plus the variance of the means.
    between, mean = torch.var_mean(means, 0, correction=0)
    inverse = (variances.mean(0) + between + eps).rsqrt()
    return Normalised(normalise_by(x, mean, inverse, weight, bias), mean, inverse)


def normalise_by(
    x: Tensor, mean: Tensor, inverse: Tensor, weight: Tensor | None = None, bias: Tensor | None = None
) -> Tensor:
    """The result of `normalise` again, from its mean and inverse standard deviation."""
    scale = inverse if weight is None else inverse * weight
    shift = -mean * scale if bias is None else torch.addcmul(bias, mean, scale, value=-1)
    fold = _fold_factor(x)
    return _unfold(torch.addcmul(_repeat(shift, fold), _fold_rows(x, fold), _repeat(scale, fold)), x)


def compute_norm_gradients(
    gradient: Tensor, x: Tensor, mean: Tensor, inverse: Tensor, weight: Tensor | None, *, asked_x: bool
) -> NormGradients:
    """The gradients of `normalise` with respect to the map, the weight and the bias.

    With dy the gradient of the result, y the normalised map and means over all values of a channel, that of the map is
    weight * inverse * (dy - mean(dy) - y mean(dy y)) (Ioffe and Szegedy, 2015).
    """
    fold = _fold_factor(x)
    compute = torch.ops.aten.native_batch_norm_backward
    if fold == 1:
        asked = [asked_x, True, True]
        return NormGradients(*compute(gradient, x, weight, None, None, mean, inverse, True, EPS, asked))
    statistics, asked = (_repeat(mean, fold), _repeat(inverse, fold)), [False, True, True]
    _, slopes, totals = compute(_fold(gradient, fold), _fold(x, fold), None, None, None, *statistics, True, EPS, asked)
    slope, total = slopes.view(fold, -1).sum(0), totals.view(fold, -1).sum(0)
    if not asked_x:
        return NormGradients(None, slope, total)
    factor = inverse if weight is None else inverse * weight
    # As factor * gradient + by_map * x + constant.
    by_map = factor * inverse * slope * (-x.shape[1] / x.numel())
    constant = -torch.addcmul(by_map * mean, factor, total, value=x.shape[1] / x.numel())
    rows = torch.addcmul(_repeat(constant, fold), _fold_rows(x, fold), _repeat(by_map, fold))
    rows.addcmul_(_fold_rows(gradient, fold), _repeat(factor, fold))
    return NormGradients(_unfold(rows, x), slope, total)


def takes_pixels_together(x: Tensor) -> bool:
    """Whether these functions are faster than torch's batch norm of this map."""
    return _fold_factor(x) > 1


def _fold_factor(x: Tensor) -> int:
    """How many adjacent pixels are taken together: a power of two that divides their number."""
    channels, pixels, fold = x.shape[1], x.numel() // x.shape[1], 1
    if channels <= FEW_CHANNELS and pixels >= MANY_PIXELS:
        while 2 * fold * channels <= WIDTH and pixels % (2 * fold) == 0:
            fold *= 2
    return fold


def _fold_rows(x: Tensor, fold: int) -> Tensor:
    """A map as a matrix (pixels / fold, fold * C)."""
    return x.permute(0, 2, 3, 1).reshape(-1, fold * x.shape[1])


def _fold(x: Tensor, fold: int) -> Tensor:
    """The same as a channels-last map (1, fold * C, pixels / fold, 1)."""
    return _fold_rows(x, fold)[None, :, None].permute(0, 3, 1, 2)


def _unfold(rows: Tensor, like: Tensor) -> Tensor:
    count, channels, height, width = like.shape
    return rows.view(count, height, width, channels).permute(0, 3, 1, 2)


def _repeat(values: Tensor, fold: int) -> Tensor:
    return values if fold == 1 else values.repeat(fold)
