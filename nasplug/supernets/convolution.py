"""Depthwise and grouped 1x1 convolutions, at the speed that small maps on a CPU allow.

All functions give what `F.conv2d` gives. Maps are (N, C, H, W), fastest in the memory format `torch.channels_last`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx


def depthwise(x: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """A depthwise convolution with an odd kernel (C, 1, k, k), padded by dilation * (k // 2) on every side.

    Stride 2 with dilation 2 reads every second pixel only, so it is a plain convolution of those pixels.
    """
    if stride == 2 and dilation == 2:
        x, stride, dilation = x[:, :, ::2, ::2].contiguous(memory_format=torch.channels_last), 1, 1
    if stride == 1:
        weight = _without_idle_taps(weight, x.shape[2], x.shape[3], dilation)
    rows, columns = weight.shape[2], weight.shape[3]
    padding = (dilation * (rows // 2), dilation * (columns // 2))
    if dilation > 1 and rows * columns > 1 and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
        convolved: Tensor = _DilatedDepthwise.apply(x, weight, padding, dilation)
        return convolved
    return F.conv2d(x, weight, None, stride, padding, dilation, groups=x.shape[1])


def pointwise(x: Tensor, weight: Tensor, groups: int = 1) -> Tensor:
    """A 1x1 convolution with a kernel (outside, inside / groups, 1, 1).

    Without groups, on a CPU, it is a matrix product over pixels: 1.3 to 2 times as fast as the convolution on small
    maps. Groups of few channels are faster as a grouped convolution. An exported graph has the convolution, which
    those who run it expect.
    """
    if groups > 1 or x.device.type != "cpu" or torch.compiler.is_exporting():
        return F.conv2d(x, weight, groups=groups)
    return F.linear(x.permute(0, 2, 3, 1), weight[:, :, 0, 0]).permute(0, 3, 1, 2)


def _without_idle_taps(weight: Tensor, height: int, width: int, dilation: int) -> Tensor:
    """The kernel without the taps that see nothing but padding: a 5x5 kernel of dilation 2 has 9 on a 4x4 map."""
    cuts = []
    for kernel, size in zip(weight.shape[2:], (height, width), strict=True):
        reach = min(kernel // 2, (size - 1) // dilation)
        cuts.append(slice(kernel // 2 - reach, kernel // 2 + reach + 1))
    return weight[:, :, cuts[0], cuts[1]]


class _DilatedDepthwise(torch.autograd.Function):
    """A dilated depthwise convolution of stride 1 whose gradients use the fast forward convolution.

    The stock gradients on CPUs fall back to a slow path for dilation (forward and backward of 64 x 64 x 8 x 8 maps
    with a 5x5 kernel: 7.6 ms, here 1.5 ms); without dilation the stock ones are faster. They are differentiable in
    turn: the curvature of a supernet is measured with second derivatives.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, padding: tuple[int, int], dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding, ctx.dilation = padding, dilation  # type: ignore[attr-defined]
        return F.conv2d(x, weight, None, 1, padding, dilation, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        by_x = by_weight = None
        if ctx.needs_input_grad[0]:
            # Kernels are odd and maps keep their size, so the padding of the transposed convolution is the same.
            flipped = weight.flip(2, 3)
            by_x = F.conv2d(gradient, flipped, None, 1, ctx.padding, ctx.dilation, groups=x.shape[1])
        if ctx.needs_input_grad[1]:
            by_weight = _weight_gradient(x, gradient, weight.shape, ctx.dilation)
        return by_x, by_weight, None, None


def _weight_gradient(x: Tensor, gradient: Tensor, shape: torch.Size, dilation: int) -> Tensor:
    """For every tap, the sum over all pixels of the output's gradient times the input that the tap saw."""
    rows, columns = shape[2], shape[3]
    pixels, gradients = x.permute(0, 2, 3, 1), gradient.permute(0, 2, 3, 1)
    taps = []
    for row in range(rows):
        seen_rows, out_rows = _overlap((row - rows // 2) * dilation, x.shape[2])
        for column in range(columns):
            seen_columns, out_columns = _overlap((column - columns // 2) * dilation, x.shape[3])
            product = gradients[:, out_rows, out_columns] * pixels[:, seen_rows, seen_columns]
            taps.append(product.sum((0, 1, 2)))
    return torch.stack(taps, 1).reshape(shape)


def _overlap(offset: int, size: int) -> tuple[slice, slice]:
    """The input pixels that a tap at this offset sees, and the outputs for which it sees them."""
    return slice(max(0, offset), size + min(0, offset)), slice(max(0, -offset), size - max(0, offset))
