"""Separable convolutions of many candidates of a supernet at once, with little memory saved for their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from nasplug.supernets.convolution import (
    compute_input_gradient,
    compute_weight_gradient,
    convolve_depthwise,
    depthwise,
    pointwise,
    remove_idle_taps,
    uses_torch_kernels,
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
    """Applies the stages one after another with a ReLU between them; only the first has the stride.

    Candidates are in the order of their sources. `scale`, (G * C,), scales the output of the last batch norm. Returns
    (N, G * C, H', W').

    On a CPU in training mode this is a single autograd function that saves two maps of each stage: input and output of
    the 1x1 convolution. Torch would save four: also the concatenated sources and the result of the ReLU.
    """
    if uses_torch_kernels(sources[0][0]) or not stages[0].norms[0].uses_batch:
        x = repeat_sources(sources)
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
        # The first stage reads maps of full size, the others maps that its stride has reduced.
        height, width = (size if number != 1 else -(-size // stride) for size in (height, width))
        spatial = stage.depthwise
        if number or stride == 1:
            spatial = remove_idle_taps(spatial, height, width, dilation)
        weights += [spatial, stage.pointwise]
    result: Tensor = _Separable.apply(counts, stride, dilation, scale.contiguous(), *states, *weights)
    return result


def repeat_sources(sources: Sequence[Source]) -> Tensor:
    """The sources concatenated along the channels, each as often as it is read."""
    maps = [state for state, count in sources for _ in range(count)]
    return maps[0] if len(maps) == 1 else torch.cat(maps, 1)


class _Separable(torch.autograd.Function):
    """All stages of `separable`, normalised by the statistics of the batch.

    Where the gradients are to be differentiated (the curvature of a supernet is measured with second derivatives), the
    stages are computed again by torch's own operations, which torch differentiates.
    """

    @staticmethod
    def forward(
        ctx: Any, counts: tuple[int, ...], stride: int, dilation: int, scale: Tensor, *tensors: Tensor
    ) -> Tensor:
        states, weights = tensors[: len(counts)], tensors[len(counts) :]
        x, maps, statistics = repeat_sources(list(zip(states, counts, strict=True))), [], []
        for first in range(0, len(weights), 2):
            last = first + 2 == len(weights)
            spatial = convolve_depthwise(x, weights[first], 1 if first else stride, dilation)
            mixed = F.conv2d(spatial, weights[first + 1], groups=sum(counts))
            mean, var = torch.ops.aten.batch_norm_update_stats(mixed, None, None, 0.0)
            inverse = (var + EPS).rsqrt()
            x = _normalise(mixed, mean, inverse * scale if last else inverse)
            x = x if last else x.relu_()
            maps += [spatial, mixed]
            statistics += [mean, inverse]
        ctx.save_for_backward(scale, *tensors, *maps, *statistics)
        ctx.counts, ctx.stride, ctx.dilation = counts, stride, dilation
        ctx.stages = len(weights) // 2
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        input_count, saved = 1 + len(ctx.counts) + 2 * ctx.stages, ctx.saved_tensors
        inputs, maps, statistics = saved[:input_count], saved[input_count : -2 * ctx.stages], saved[-2 * ctx.stages :]
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
                x = _normalise(maps[first - 1], *statistics[first - 2 : first]).relu_()
            else:
                x = repeat_sources(list(zip(states, ctx.counts, strict=True)))
            by_spatial, by_pointwise, _ = torch.ops.aten.convolution_backward(
                *(by_mixed, spatial, weights[first + 1], None),
                *([1, 1], [0, 0], [1, 1], False, [0, 0]),
                groups,
                [True, True, False],
            )
            arguments = (x, weights[first], by_spatial, 1 if first else ctx.stride, ctx.dilation)
            gradient, by_depthwise = compute_input_gradient(*arguments), compute_weight_gradient(*arguments)
            gradient = torch.ops.aten.threshold_backward(gradient, x, 0) if first else gradient
            by_weights = [by_depthwise, by_pointwise, *by_weights]
        if not upstream:
            return (None, None, None, by_scale, *(None for _ in inputs[1:]))
        return (None, None, None, by_scale, *_split_by_source(gradient, ctx.counts), *by_weights)


def _split_by_source(gradient: Tensor, counts: Sequence[int]) -> list[Tensor]:
    """The gradient of each source, from that of the concatenated sources."""
    parts, totals = list(gradient.chunk(sum(counts), 1)), []
    for count in counts:
        reading, parts = parts[:count], parts[count:]
        total = reading[0] if count == 1 else reading[0] + reading[1]
        for part in reading[2:]:
            total += part
        totals.append(total)
    return totals


def _normalise(x: Tensor, mean: Tensor, inverse: Tensor) -> Tensor:
    return torch.addcmul((-mean * inverse).view(1, -1, 1, 1), x, inverse.view(1, -1, 1, 1))


def _differentiable_gradients(ctx: Any, gradient: Tensor, inputs: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    """The gradients that are asked for, as differentiable functions of all inputs."""
    scale, states, weights = inputs[0], inputs[1 : 1 + len(ctx.counts)], inputs[1 + len(ctx.counts) :]
    x = repeat_sources(list(zip(states, ctx.counts, strict=True)))
    for first in range(0, len(weights), 2):
        x = F.relu(x) if first else x
        x = convolve_depthwise(x, weights[first], 1 if first else ctx.stride, ctx.dilation)
        x = F.conv2d(x, weights[first + 1], groups=sum(ctx.counts))
        last = first + 2 == len(weights)
        x = F.batch_norm(x, None, None, scale if last else None, None, training=True, eps=EPS)
    asked = [tensor for tensor, needed in zip(inputs, ctx.needs_input_grad[3:], strict=True) if needed]
    asked_gradients = iter(torch.autograd.grad(x, asked, gradient, create_graph=True))
    return (None, None, None, *(next(asked_gradients) if needed else None for needed in ctx.needs_input_grad[3:]))
