"""Depthwise and grouped 1x1 convolutions, at the speed that small maps on a CPU allow.

All functions give what `F.conv2d` gives. Maps are (N, C, H, W), fastest in the memory format `torch.channels_last`.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx

NARROW = 3
"""Columns of a kernel up to which torch's gradient of a dense depthwise kernel is fast on a CPU."""


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
    slow = stride == 1 and (columns > NARROW or (dilation > 1 and rows * columns > 1))
    if slow and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
        convolved: Tensor = _Depthwise.apply(x, weight, padding, dilation)
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


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution of stride 1 whose gradients are computed by what is fast on a CPU.

    The stock gradients fall back to slow paths for dilation and for kernels of more than three columns: that of a
    dense 5x5 kernel takes 19 times as long as that of a 3x3 one, and 18 times as long as that of one of five rows and
    three columns. They are differentiable in turn: the curvature of a supernet is measured with second derivatives.
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
    """The gradient of a depthwise kernel, from torch's gradients of dense kernels of three columns at most.

    Those are slow too on maps smaller than the kernel. What would come to that is summed tap by tap, if dilated.
    """
    rows, columns = shape[2:]
    tiny = min(x.shape[2:]) // dilation < max(rows, columns)
    if tiny and dilation > 1:
        return _tapped_weight_gradient(x, gradient, rows, columns, dilation)
    if dilation > 1:
        x, gradient = _phases(x, dilation), _phases(gradient, dilation)
    if tiny or columns <= NARROW:
        return _dense_weight_gradient(x, gradient, rows, columns, columns // 2)
    padded = F.pad(x, (columns // 2, columns // 2))
    # Windows of three taps of every row; neighbours share a tap, which the later one gives.
    parts = []
    for first in range(0, columns - 1, NARROW - 1):
        seen = padded[:, :, :, first : first + x.shape[3] + NARROW - 1]
        part = _dense_weight_gradient(seen, gradient, rows, NARROW, 0)
        parts.append(part if first + NARROW == columns else part[..., :-1])
    return torch.cat(parts, 3)


def _dense_weight_gradient(x: Tensor, gradient: Tensor, rows: int, columns: int, padding: int) -> Tensor:
    """Torch's gradient of a dense kernel whose columns are padded by `padding`."""
    kernel, pads, ones = x.new_empty(x.shape[1], 1, rows, columns), [rows // 2, padding], [1, 1]
    gradients = torch.ops.aten.convolution_backward(
        gradient, x, kernel, None, ones, pads, ones, False, [0, 0], x.shape[1], [False, True, False]
    )
    return cast("Tensor", gradients[1])


def _phases(x: Tensor, dilation: int) -> Tensor:
    """The map as dilation^2 smaller ones, each of the pixels a dilation apart, one after the other in the batch.

    On them a dilated convolution is a dense one. Sides that do not divide get zeros, which add nothing to gradients.
    """
    if any(size % dilation for size in x.shape[2:]):
        x = F.pad(x, (0, -x.shape[3] % dilation, 0, -x.shape[2] % dilation))
    pixels = x.permute(0, 2, 3, 1).unflatten(2, (-1, dilation)).unflatten(1, (-1, dilation))
    phases: Tensor = pixels.permute(2, 4, 0, 1, 3, 5).flatten(0, 2).permute(0, 3, 1, 2)
    return phases


def _tapped_weight_gradient(x: Tensor, gradient: Tensor, rows: int, columns: int, dilation: int) -> Tensor:
    """For every tap, the sum over all pixels of the output's gradient times the input that the tap saw."""
    pixels, gradients = x.permute(0, 2, 3, 1), gradient.permute(0, 2, 3, 1)
    taps = []
    for row in range(rows):
        seen_rows, out_rows = _overlap((row - rows // 2) * dilation, x.shape[2])
        for column in range(columns):
            seen_columns, out_columns = _overlap((column - columns // 2) * dilation, x.shape[3])
            product = gradients[:, out_rows, out_columns] * pixels[:, seen_rows, seen_columns]
            taps.append(product.sum((0, 1, 2)))
    return torch.stack(taps, 1).reshape(x.shape[1], 1, rows, columns)


def _overlap(offset: int, size: int) -> tuple[slice, slice]:
    """The input pixels that a tap at this offset sees, and the outputs for which it sees them."""
    return slice(max(0, offset), size + min(0, offset)), slice(max(0, -offset), size - max(0, offset))
