"""Separable convolutions of a supernet, many candidates at once, with little saved for their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from nasplug.supernets.convolution import (
    convolved,
    depthwise,
    gradient_by_kernel,
    gradient_by_map,
    keeps_torch,
    pointwise,
    without_idle_taps,
)
from nasplug.supernets.normalise import EPS, Norm, batch_norm
from nasplug.supernets.space_to_batch import every_second

Source = tuple[Tensor, int]
"""A map (N, C, H, W) and how many candidates read it."""


@attrs.frozen
class SeparableStage:
    """Depthwise convolution, 1x1 convolution and batch norm of G candidates."""

    depthwise: Tensor
    """(G * C, 1, k, k)"""
    pointwise: Tensor
    """(G * C, C, 1, 1)"""
    norms: Sequence[Norm]


def separable(
    sources: Sequence[Source], stages: Sequence[SeparableStage], stride: int, dilation: int, scale: Tensor
) -> Tensor:
    """The stages one after the other, a ReLU between them; only the first has the stride.

    Candidates come in the order of their sources. `scale`, (G * C,), scales what the last batch norm gives. Returns
    (N, G * C, H', W').

    On a CPU, in training, all of it is one function whose gradients need two maps of each stage: what the 1x1
    convolution reads and what it gives. torch would hold four: the sources side by side as well, and the ReLU's result.
    """
    if keeps_torch(sources[0][0]) or not stages[0].norms[0].uses_batch:
        x = repeated(sources)
        for number, stage in enumerate(stages):
            x = F.relu(x) if number else x
            x = depthwise(x, stage.depthwise, 1 if number else stride, dilation)
            x = pointwise(x, stage.pointwise, groups=len(stage.norms))
            x = batch_norm(x, stage.norms, scale if number == len(stages) - 1 else None)
        return x
    states, counts = zip(*sources, strict=True)
    if stride == 2 and dilation == 2:
        states, stride, dilation = tuple(every_second(state)[0] for state in states), 1, 1
    height, width = states[0].shape[2:]
    weights = []
    for number, stage in enumerate(stages):
        # Stride 2 halves the map, and with it the reach of the next kernel.
        height, width = (size if number != 1 else -(-size // stride) for size in (height, width))
        spatial = stage.depthwise
        if number or stride == 1:
            spatial = without_idle_taps(spatial, height, width, dilation)
        weights += [spatial, stage.pointwise]
    found: Tensor = _Separable.apply(counts, stride, dilation, scale.contiguous(), *states, *weights)
    return found


def repeated(sources: Sequence[Source]) -> Tensor:
    """The sources side by side, each as often as it is read."""
    maps = [state for state, count in sources for _ in range(count)]
    return maps[0] if len(maps) == 1 else torch.cat(maps, 1)


class _Separable(torch.autograd.Function):
    """All stages of `separable`, with the statistics of the batch.

    Where gradients are to be differentiated in turn (the curvature of a supernet is measured with second derivatives),
    the stages are computed again by torch's own operations, and torch differentiates these.
    """

    @staticmethod
    def forward(
        ctx: Any, counts: tuple[int, ...], stride: int, dilation: int, scale: Tensor, *tensors: Tensor
    ) -> Tensor:
        states, weights = tensors[: len(counts)], tensors[len(counts) :]
        x, maps, statistics = repeated(list(zip(states, counts, strict=True))), [], []
        for first in range(0, len(weights), 2):
            last = first + 2 == len(weights)
            spatial = convolved(x, weights[first], 1 if first else stride, dilation)
            mixed = F.conv2d(spatial, weights[first + 1], groups=sum(counts))
            mean, var = torch.ops.aten.batch_norm_update_stats(mixed, None, None, 0.0)
            inverse = (var + EPS).rsqrt()
            x = _normalised(mixed, mean, inverse * scale if last else inverse)
            x = x if last else x.relu_()
            maps += [spatial, mixed]
            statistics += [mean, inverse]
        ctx.save_for_backward(scale, *tensors, *maps, *statistics)
        ctx.counts, ctx.stride, ctx.dilation = counts, stride, dilation
        ctx.stages = len(weights) // 2
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        given, saved = 1 + len(ctx.counts) + 2 * ctx.stages, ctx.saved_tensors
        inputs, maps, statistics = saved[:given], saved[given : -2 * ctx.stages], saved[-2 * ctx.stages :]
        if torch.is_grad_enabled():
            return _differentiable_gradients(ctx, gradients[0], inputs)
        scale, states, weights = inputs[0], inputs[1 : 1 + len(ctx.counts)], inputs[1 + len(ctx.counts) :]
        groups, by_weights = sum(ctx.counts), list[Tensor | None]()
        upstream = any(ctx.needs_input_grad[4:])
        gradient, by_scale = gradients[0].contiguous(memory_format=torch.channels_last), None
        for first in reversed(range(0, len(weights), 2)):
            last = first + 2 == len(weights)
            (spatial, mixed), (mean, inverse) = maps[first : first + 2], statistics[first : first + 2]
            weight, norm = scale if last else None, torch.ops.aten.native_batch_norm_backward
            asked = [upstream, last and ctx.needs_input_grad[3], False]
            by_mixed, slope, _ = norm(gradient, mixed, weight, None, None, mean, inverse, True, EPS, asked)
            by_scale = slope if last else by_scale
            if not upstream:
                break
            if first:
                x = _normalised(maps[first - 1], *statistics[first - 2 : first]).relu_()
            else:
                x = repeated(list(zip(states, ctx.counts, strict=True)))
            by_spatial, by_pointwise, _ = torch.ops.aten.convolution_backward(
                *(by_mixed, spatial, weights[first + 1], None),
                *([1, 1], [0, 0], [1, 1], False, [0, 0]),
                groups,
                [True, True, False],
            )
            given = (x, weights[first], by_spatial, 1 if first else ctx.stride, ctx.dilation)
            gradient, by_depthwise = gradient_by_map(*given), gradient_by_kernel(*given)
            gradient = torch.ops.aten.threshold_backward(gradient, x, 0) if first else gradient
            by_weights = [by_depthwise, by_pointwise, *by_weights]
        if not upstream:
            return (None, None, None, by_scale, *(None for _ in inputs[1:]))
        return (None, None, None, by_scale, *_by_source(gradient, ctx.counts), *by_weights)


def _by_source(gradient: Tensor, counts: Sequence[int]) -> list[Tensor]:
    """The gradient of each source, from that of the sources side by side."""
    parts, found = list(gradient.chunk(sum(counts), 1)), []
    for count in counts:
        reading, parts = parts[:count], parts[count:]
        total = reading[0] if count == 1 else reading[0] + reading[1]
        for part in reading[2:]:
            total += part
        found.append(total)
    return found


def _normalised(x: Tensor, mean: Tensor, inverse: Tensor) -> Tensor:
    return torch.addcmul((-mean * inverse).view(1, -1, 1, 1), x, inverse.view(1, -1, 1, 1))


def _differentiable_gradients(ctx: Any, gradient: Tensor, inputs: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    """The gradients that are asked for, as functions of everything that was given."""
    scale, states, weights = inputs[0], inputs[1 : 1 + len(ctx.counts)], inputs[1 + len(ctx.counts) :]
    x = repeated(list(zip(states, ctx.counts, strict=True)))
    for first in range(0, len(weights), 2):
        x = F.relu(x) if first else x
        x = convolved(x, weights[first], 1 if first else ctx.stride, ctx.dilation)
        x = F.conv2d(x, weights[first + 1], groups=sum(ctx.counts))
        last = first + 2 == len(weights)
        x = F.batch_norm(x, None, None, scale if last else None, None, training=True, eps=EPS)
    asked = [each for each, needed in zip(inputs, ctx.needs_input_grad[3:], strict=True) if needed]
    found = iter(torch.autograd.grad(x, asked, gradient, create_graph=True))
    return (None, None, None, *(next(found) if needed else None for needed in ctx.needs_input_grad[3:]))
