"""Depthwise and grouped 1x1 convolutions, at the speed that small maps on a CPU allow.

All functions give what `F.conv2d` gives. Maps are (N, C, H, W), fastest in the memory format `torch.channels_last`.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx

from nasplug.supernets.space_to_batch import every_second, space_to_batch

NARROW = 3
"""Columns of a kernel up to which torch's gradient of a dense depthwise kernel is fast on a CPU."""


def depthwise(x: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """A depthwise convolution with an odd kernel (C, 1, k, k), padded by dilation * (k // 2) on every side.

    Stride 2 with dilation 2 reads every second pixel only, so it is a plain convolution of those pixels.
    """
    if stride == 2 and dilation == 2:
        (x,), stride, dilation = every_second(x), 1, 1
    if stride == 1:
        weight = without_idle_taps(weight, x.shape[2], x.shape[3], dilation)
    rows, columns = weight.shape[2], weight.shape[3]
    slow = columns > NARROW or (dilation > 1 and rows * columns > 1)
    if slow and not keeps_torch(x):
        found: Tensor = _Depthwise.apply(x, weight, stride, dilation)
        return found
    return convolved(x, weight, stride, dilation)


def keeps_torch(x: Tensor) -> bool:
    """Whether torch's own operations are to be used: not on a CPU, or where autocast chooses the precision."""
    return x.device.type != "cpu" or torch.is_autocast_enabled("cpu")


def pointwise(x: Tensor, weight: Tensor, groups: int = 1) -> Tensor:
    """A 1x1 convolution with a kernel (outside, inside / groups, 1, 1).

    Without groups, on a CPU, it is a matrix product over pixels: 1.3 to 2 times as fast as the convolution on small
    maps. Groups of few channels are faster as a grouped convolution. An exported graph has the convolution, which
    those who run it expect.
    """
    if groups > 1 or x.device.type != "cpu" or torch.compiler.is_exporting():
        return F.conv2d(x, weight, groups=groups)
    return F.linear(x.permute(0, 2, 3, 1), weight[:, :, 0, 0]).permute(0, 3, 1, 2)


def without_idle_taps(weight: Tensor, height: int, width: int, dilation: int) -> Tensor:
    """The kernel without the taps that see nothing but padding: a 5x5 kernel of dilation 2 has 9 on a 4x4 map."""
    cuts = []
    for kernel, size in zip(weight.shape[2:], (height, width), strict=True):
        reach = min(kernel // 2, (size - 1) // dilation)
        cuts.append(slice(kernel // 2 - reach, kernel // 2 + reach + 1))
    return weight[:, :, cuts[0], cuts[1]]


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution whose gradients are computed by what is fast on a CPU.

    The stock gradients fall back to slow paths for dilation and for kernels of more than three columns: that of a
    dense 5x5 kernel takes 19 times as long as that of a 3x3 one, and 18 times as long as that of one of five rows and
    three columns. They are differentiable in turn: the curvature of a supernet is measured with second derivatives.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.dilation = stride, dilation  # type: ignore[attr-defined]
        return convolved(x, weight, stride, dilation)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        given = (*ctx.saved_tensors, gradients[0], ctx.stride, ctx.dilation)
        by_x, by_weight = ctx.needs_input_grad[:2]
        return gradient_by_map(*given) if by_x else None, gradient_by_kernel(*given) if by_weight else None, None, None


def convolved(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """The depthwise convolution by torch's own operation, padded as in `depthwise`."""
    padding = (dilation * (weight.shape[2] // 2), dilation * (weight.shape[3] // 2))
    return F.conv2d(x, weight, None, stride, padding, dilation, groups=x.shape[1])


def gradient_by_map(x: Tensor, weight: Tensor, gradient: Tensor, stride: int, dilation: int) -> Tensor:
    """The gradient of a depthwise convolution with respect to its map. With stride 2 kernels are dense."""
    if stride == 1:
        # Kernels are odd and maps keep their size, so the padding of the transposed convolution is the same.
        return convolved(gradient, weight.flip(2, 3), 1, dilation)
    return _stock_gradients(x, gradient, weight, stride, (weight.shape[2] // 2, weight.shape[3] // 2), by_x=True)


def gradient_by_kernel(x: Tensor, weight: Tensor, gradient: Tensor, stride: int, dilation: int) -> Tensor:
    """The gradient of a depthwise kernel, from torch's gradients of dense kernels of three columns at most."""
    rows, columns = weight.shape[2:]
    if dilation > 1 and rows * columns > 1:
        x, gradient = space_to_batch(x, dilation), space_to_batch(gradient, dilation)
    x, gradient = _filled_up(x, gradient, rows, columns, stride)
    if columns <= NARROW:
        return _stock_gradients(x, gradient, weight, stride, (rows // 2, columns // 2), by_x=False)
    padded = F.pad(x, (columns // 2, columns // 2))
    # Windows of three taps of every row; neighbours share a tap, which the later one gives.
    parts = []
    for first in range(0, columns - 1, NARROW - 1):
        seen = padded[:, :, :, first : first + stride * (gradient.shape[3] - 1) + NARROW]
        part = _stock_gradients(seen, gradient, weight[..., :NARROW], stride, (rows // 2, 0), by_x=False)
        parts.append(part if first + NARROW == columns else part[..., :-1])
    return torch.cat(parts, 3)


def _filled_up(x: Tensor, gradient: Tensor, rows: int, columns: int, stride: int) -> tuple[Tensor, Tensor]:
    """The map with zeros at bottom and right to at least the size of the kernel, below which torch is slow.

    With it the gradient of the convolution's result, of the size that then belongs to the map.
    """
    short = [max(0, kernel - size) for kernel, size in zip((rows, columns), x.shape[2:], strict=True)]
    if not any(short):
        return x, gradient
    x = F.pad(x, (0, short[1], 0, short[0]))
    missing = [-(-size // stride) - have for size, have in zip(x.shape[2:], gradient.shape[2:], strict=True)]
    return x, F.pad(gradient, (0, missing[1], 0, missing[0]))


def _stock_gradients(
    x: Tensor, gradient: Tensor, weight: Tensor, stride: int, padding: tuple[int, int], *, by_x: bool
) -> Tensor:
    """Torch's gradient of a dense depthwise convolution, by its map or by its kernel."""
    steps, mask = [stride, stride], [by_x, not by_x, False]
    gradients = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, steps, list(padding), [1, 1], False, [0, 0], x.shape[1], mask
    )
    return cast("Tensor", gradients[0 if by_x else 1])
