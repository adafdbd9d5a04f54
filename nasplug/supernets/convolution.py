"""Depthwise and grouped 1x1 convolutions, at the speed that small maps on a CPU allow.

All functions compute the same as `F.conv2d`. Maps are (N, C, H, W), fastest in the memory format `torch.channels_last`.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.fx import Proxy

from nasplug.supernets.space_to_batch import every_second, space_to_batch

ONEDNN_BLOCK = 16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8
"""Channels that oneDNN computes at a time on this CPU."""
FAST_COLUMNS = 3
"""The largest number of kernel columns for which torch's weight gradient of a dense depthwise convolution is fast on a
CPU."""

FEW_PIXELS, MANY_PIXELS = 1 << 13, 1 << 15
"""Pixels of a batch up to which 1x1 convolutions are faster as matrix products: of any channels, of 16 or more."""


def depthwise(x: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """A depthwise convolution of `x` with an odd kernel (C, 1, k, k), padded by dilation * (k // 2) on every side.

    With stride 2 and dilation 2 it reads every second pixel only, so it is computed as a dense convolution of those.
    """
    if stride == 2 and dilation == 2:
        (x,), stride, dilation = every_second(x), 1, 1
    if stride == 1:
        weight = remove_idle_taps(weight, x.shape[2], x.shape[3], dilation)
    rows, columns = weight.shape[2], weight.shape[3]
    slow = columns > FAST_COLUMNS or (dilation > 1 and rows * columns > 1)
    if slow and not uses_torch_kernels(x):
        result: Tensor = _Depthwise.apply(x, weight, stride, dilation)
        return result
    return convolve_depthwise(x, weight, stride, dilation)


def is_symbolic(x: object) -> bool:
    """Whether `x` stands for a map in a graph that torch.fx records; nothing may depend on its size."""
    return isinstance(x, Proxy)


def uses_torch_kernels(x: Tensor) -> bool:
    """Whether to compute with torch's own operations: off the CPU, or where autocast chooses the precision."""
    return x.device.type != "cpu" or torch.is_autocast_enabled("cpu")


def pointwise(x: Tensor, weight: Tensor, groups: int = 1) -> Tensor:
    """A 1x1 convolution with a kernel (out_channels, in_channels / groups, 1, 1).

    On a CPU and without groups it is computed as a matrix product over pixels where that is faster, 1.3 to 2 times on
    small maps. Groups of few channels are faster as a grouped convolution, and so are large maps: from 24 to 8 channels
    with 64 maps of 32x32 pixels, a product takes four times as long. An exported graph keeps the convolution, which its
    runtimes expect.
    """
    if groups > 1 or x.device.type != "cpu" or torch.compiler.is_exporting() or not _is_fast_as_matrix(x, weight):
        return F.conv2d(x, weight, groups=groups)
    return F.linear(x.permute(0, 2, 3, 1), weight[:, :, 0, 0]).permute(0, 3, 1, 2)


def compute_pointwise_gradients(x: Tensor, weight: Tensor, gradient: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """The gradients of `pointwise` on a CPU with respect to map and kernel."""
    if groups > 1 or not _is_fast_as_matrix(x, weight):
        arguments = (gradient, x, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], groups, [True, True, False])
        by_x, by_weight, _ = torch.ops.aten.convolution_backward(*arguments)
        return by_x, by_weight
    pixels, rows = (each.permute(0, 2, 3, 1) for each in (x, gradient))
    by_x = torch.matmul(rows, weight[:, :, 0, 0]).permute(0, 3, 1, 2)
    return by_x, (rows.flatten(0, 2).t() @ pixels.flatten(0, 2))[:, :, None, None]


def _is_fast_as_matrix(x: Tensor, weight: Tensor) -> bool:
    """Whether a 1x1 convolution of this map is faster as a matrix product, as measured in float32 with AVX2."""
    pixels = x.numel() // x.shape[1]
    return pixels <= FEW_PIXELS or (pixels <= MANY_PIXELS and min(weight.shape[:2]) >= 16)


def remove_idle_taps(weight: Tensor, height: int, width: int, dilation: int) -> Tensor:
    """The kernel without the taps that only ever read padding: of a 5x5 kernel with dilation 2, a 4x4 map keeps 3x3."""
    cuts = []
    for kernel, size in zip(weight.shape[2:], (height, width), strict=True):
        reach = min(kernel // 2, (size - 1) // dilation)
        cuts.append(slice(kernel // 2 - reach, kernel // 2 + reach + 1))
    return weight[:, :, cuts[0], cuts[1]]


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution with gradients that are fast on a CPU.

    Torch's gradients are slow for dilation and for kernels of more than three columns: the weight gradient of a dense
    5x5 kernel takes 19 times as long as that of a 3x3 kernel, and 18 times as long as that of a kernel of five rows and
    three columns. The gradients are differentiable: the curvature of a supernet is measured with second derivatives.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.dilation = stride, dilation  # type: ignore[attr-defined]
        return convolve_depthwise(x, weight, stride, dilation)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        arguments = (*ctx.saved_tensors, gradients[0], ctx.stride, ctx.dilation)
        asked_x, asked_weight = ctx.needs_input_grad[:2]
        by_x = compute_input_gradient(*arguments) if asked_x else None
        by_weight = compute_weight_gradient(*arguments) if asked_weight else None
        return by_x, by_weight, None, None


def convolve_depthwise(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """The depthwise convolution by `F.conv2d`, padded as in `depthwise`."""
    padding = (dilation * (weight.shape[2] // 2), dilation * (weight.shape[3] // 2))
    return F.conv2d(x, weight, None, stride, padding, dilation, groups=x.shape[1])


def compute_input_gradient(x: Tensor, weight: Tensor, gradient: Tensor, stride: int, dilation: int) -> Tensor:
    """The gradient of a depthwise convolution with respect to its input. With stride 2 the dilation must be 1."""
    if stride == 1:
        # Kernels are odd and maps keep their size, so the transposed convolution has the same padding.
        return convolve_depthwise(gradient, weight.flip(2, 3), 1, dilation)
    return _torch_gradient(x, gradient, weight, stride, (weight.shape[2] // 2, weight.shape[3] // 2), by_x=True)


def compute_weight_gradient(x: Tensor, weight: Tensor, gradient: Tensor, stride: int, dilation: int) -> Tensor:
    """The gradient of a depthwise kernel, composed of torch's gradients of dense kernels of at most three columns."""
    rows, columns = weight.shape[2:]
    if dilation > 1 and rows * columns > 1:
        x, gradient = space_to_batch(x, dilation), space_to_batch(gradient, dilation)
    x, gradient = _pad_to_kernel(x, gradient, rows, columns, stride)
    if columns <= FAST_COLUMNS:
        return _torch_gradient(x, gradient, weight, stride, (rows // 2, columns // 2), by_x=False)
    padded = F.pad(x, (columns // 2, columns // 2))
    # Windows of three columns; neighbouring windows share a column, which is taken from the later one.
    parts = []
    for first in range(0, columns - 1, FAST_COLUMNS - 1):
        window = padded[:, :, :, first : first + stride * (gradient.shape[3] - 1) + FAST_COLUMNS]
        part = _torch_gradient(window, gradient, weight[..., :FAST_COLUMNS], stride, (rows // 2, 0), by_x=False)
        parts.append(part if first + FAST_COLUMNS == columns else part[..., :-1])
    return torch.cat(parts, 3)


def _pad_to_kernel(x: Tensor, gradient: Tensor, rows: int, columns: int, stride: int) -> tuple[Tensor, Tensor]:
    """Pads the map with zeros at the bottom and right to at least the size of the kernel, below which torch is slow.

    Pads the gradient of the output to the size that then belongs to the map; returns both.
    """
    short = [max(0, kernel - size) for kernel, size in zip((rows, columns), x.shape[2:], strict=True)]
    if not any(short):
        return x, gradient
    x = F.pad(x, (0, short[1], 0, short[0]))
    missing = [-(-size // stride) - present for size, present in zip(x.shape[2:], gradient.shape[2:], strict=True)]
    return x, F.pad(gradient, (0, missing[1], 0, missing[0]))


def _torch_gradient(
    x: Tensor, gradient: Tensor, weight: Tensor, stride: int, padding: tuple[int, int], *, by_x: bool
) -> Tensor:
    """Torch's gradient of a dense depthwise convolution with respect to its input (`by_x`) or to its kernel."""
    steps, mask = [stride, stride], [by_x, not by_x, False]
    gradients = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, steps, list(padding), [1, 1], False, [0, 0], x.shape[1], mask
    )
    return cast("Tensor", gradients[0 if by_x else 1])


def drop_unread_edge(x: Tensor, weight: Tensor) -> Tensor:
    """The map without its last row and column where oneDNN would otherwise write outside its memory, else `x` itself.

    For 1x1 convolutions of stride 2 with a kernel `weight`, which read neither on a map of even size, so that the
    result keeps every bit. oneDNN's gradient of such a kernel (`jit_1x1`, layout channels_last) addresses its workspace
    as if pixels had one block of channels, 8 with AVX2 and 16 with AVX-512, but takes memory for the channels there
    are: with fewer channels than a block it corrupts the heap (oneDNN issue 6035; seen in torch 2.11 and 2.15). It
    copies to this workspace only if the size of the map is exactly twice that of the result, which the cropped map's is
    not. Wider maps are left alone: the other way sums the gradient of the kernel in another order.
    """
    height, width = x.shape[2:]
    if is_symbolic(x):  # torch.fx records no conditions: the crop is one of 0 pixels where the size is odd
        return x[:, :, : height - 1 + height % 2, : width - 1 + width % 2]
    learns = torch.is_grad_enabled() and weight.requires_grad
    if x.device.type != "cpu" or x.shape[1] >= ONEDNN_BLOCK or height % 2 or width % 2 or not learns:
        return x
    return x[:, :, :-1, :-1]
