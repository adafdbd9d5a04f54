"""Separable convolutions of many candidates of a supernet at once, with little memory saved for their gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from nasplug.supernets.batch_statistics import EPS, compute_norm_gradients, normalise, normalise_by
from nasplug.supernets.convolution import (
    compute_input_gradient,
    compute_pointwise_gradients,
    compute_weight_gradient,
    convolve_depthwise,
    depthwise,
    pointwise,
    remove_idle_taps,
    uses_torch_kernels,
)
from nasplug.supernets.normalise import AnyNorm, Norm, TorchNorm, batch_norm, update_running_averages
from nasplug.supernets.space_to_batch import every_second
from nasplug.supernets.synchronised_norms import norms_are_synchronised

Source = tuple[Tensor, int]
"""A map (N, C, H, W) and how many candidates read it."""
PER_STAGE = 4
"""Tensors of a stage: both kernels, scale and shift of its norm."""


@attrs.frozen
class SeparableStage:
    """Depthwise convolution, 1x1 convolution and batch norm of G candidates."""

    depthwise: Tensor
    """(G * C, 1, k, k)"""
    pointwise: Tensor
    """(G * C, C, 1, 1)"""
    norms: Sequence[AnyNorm]
    scale: Tensor | None = None
    """(G * C,), of the result of the batch norms; None: 1."""
    shift: Tensor | None = None
    """(G * C,), added to the scaled result; None: 0."""


def separable(sources: Sequence[Source], stages: Sequence[SeparableStage], stride: int, dilation: int) -> Tensor:
    """Applies the stages of a supernet's candidates one after another, with a ReLU between them.

    Candidates are in the order of their sources. Only the first stage has the stride. Returns (N, G * C, H', W').
    """
    norms = [cast("Sequence[Norm]", stage.norms) for stage in stages]
    if not uses_torch_kernels(sources[0][0]) and norms[0][0].uses_batch and not norms_are_synchronised():
        return separable_of_batch(sources, stages, stride, dilation)
    x = repeat_sources(sources)
    for number, stage in enumerate(stages):
        x = F.relu(x) if number else x
        x = depthwise(x, stage.depthwise, 1 if number else stride, dilation)
        x = pointwise(x, stage.pointwise, groups=len(stage.norms))
        x = batch_norm(x, norms[number], stage.scale, stage.shift)
    return x


def separable_of_batch(
    sources: Sequence[Source], stages: Sequence[SeparableStage], stride: int, dilation: int
) -> Tensor:
    """The same normalised by the statistics of the batch, on a CPU; running averages of torch's norms are updated.

    This is a single autograd function that saves two maps of each stage: input and output of the 1x1 convolution. Torch
    would save four: also the concatenated sources and the result of the ReLU.
    """
    states, counts = zip(*sources, strict=True)
    dilations = [dilation for _ in stages]
    if stride == 2 and dilation == 2:
        states, stride = tuple(every_second(state)[0] for state in states), 1
        dilations[0] = 1  # the other stages read the reduced maps with the dilation that they have
    height, width = states[0].shape[2:]
    parameters: list[Tensor | None] = []
    for number, stage in enumerate(stages):
        # The first stage reads maps of full size, the others maps that its stride has reduced.
        height, width = (size if number != 1 else -(-size // stride) for size in (height, width))
        spatial = stage.depthwise
        if number or stride == 1:
            spatial = remove_idle_taps(spatial, height, width, dilations[number])
        # torch 2.15 reads a scale of stride 0 (an expanded one) beyond its end in the backward pass on a CPU.
        scale = None if stage.scale is None else stage.scale.contiguous()
        parameters += [spatial, stage.pointwise, scale, stage.shift]
    result, *statistics = _Separable.apply(counts, stride, tuple(dilations), *states, *parameters)
    for stage, mean, inverse in zip(stages, statistics[::2], statistics[1::2], strict=True):
        norms = [norm for norm in stage.norms if isinstance(norm, TorchNorm)]
        if norms:
            update_running_averages(norms, mean, inverse, result.numel() // result.shape[1])
    return cast("Tensor", result)


def repeat_sources(sources: Sequence[Source]) -> Tensor:
    """The sources concatenated along the channels, each as often as it is read."""
    maps = [state for state, count in sources for _ in range(count)]
    return maps[0] if len(maps) == 1 else torch.cat(maps, 1)


class _Separable(torch.autograd.Function):
    """All stages of `separable_of_batch`; also the mean and the inverse standard deviation of each, without gradients.

    Where the gradients are to be differentiated (the curvature of a supernet is measured with second derivatives), the
    stages are computed again by torch's own operations, which torch differentiates.
    """

    @staticmethod
    def forward(
        ctx: Any, counts: tuple[int, ...], stride: int, dilations: tuple[int, ...], *tensors: Any
    ) -> tuple[Tensor, ...]:
        states, parameters = tensors[: len(counts)], tensors[len(counts) :]
        x, maps, statistics = repeat_sources(list(zip(states, counts, strict=True))), [], []
        for first in range(0, len(parameters), PER_STAGE):
            kernel, mixing, scale, shift = parameters[first : first + PER_STAGE]
            spatial = convolve_depthwise(x, kernel, 1 if first else stride, dilations[first // PER_STAGE])
            mixed = pointwise(spatial, mixing, sum(counts))
            x, mean, inverse = normalise(mixed, scale, shift)
            x = x.relu_() if first + PER_STAGE < len(parameters) else x
            maps += [spatial, mixed]
            statistics += [mean, inverse]
        ctx.save_for_backward(*tensors, *maps, *statistics)
        ctx.mark_non_differentiable(*statistics)
        ctx.counts, ctx.stride, ctx.dilations = counts, stride, dilations
        ctx.stages = len(parameters) // PER_STAGE
        return x, *statistics

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        sources, stages, saved, asked = len(ctx.counts), ctx.stages, ctx.saved_tensors, ctx.needs_input_grad[3:]
        inputs, saved = saved[: sources + PER_STAGE * stages], saved[sources + PER_STAGE * stages :]
        if torch.is_grad_enabled():
            return None, None, None, *_differentiable_gradients(ctx, gradients[0], inputs, asked)
        maps, statistics = saved[: 2 * stages], saved[2 * stages :]
        found: list[Tensor | None] = [None for _ in inputs]
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        for stage in reversed(range(stages)):
            first = sources + PER_STAGE * stage
            kernel, mixing, scale, _ = inputs[first : first + PER_STAGE]
            (spatial, mixed), (mean, inverse) = (each[2 * stage : 2 * stage + 2] for each in (maps, statistics))
            upstream = any(asked[: first + 2])
            by_mixed, found[first + 2], found[first + 3] = compute_norm_gradients(
                gradient, mixed, mean, inverse, scale, asked_x=upstream
            )
            if by_mixed is None:
                break
            if stage:
                x = normalise_by(
                    maps[2 * stage - 1], *statistics[2 * stage - 2 : 2 * stage], *inputs[first - 2 : first]
                )
                x = x.relu_()
            else:
                x = repeat_sources(list(zip(inputs[:sources], ctx.counts, strict=True)))
            by_spatial, found[first + 1] = compute_pointwise_gradients(spatial, mixing, by_mixed, sum(ctx.counts))
            arguments = (x, kernel, by_spatial, 1 if stage else ctx.stride, ctx.dilations[stage])
            gradient, found[first] = compute_input_gradient(*arguments), compute_weight_gradient(*arguments)
            if stage:
                gradient = torch.ops.aten.threshold_backward(gradient, x, 0)
            else:
                found[:sources] = _split_by_source(gradient, ctx.counts)
        return None, None, None, *(each if needed else None for each, needed in zip(found, asked, strict=True))


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


def _differentiable_gradients(
    ctx: Any, gradient: Tensor, inputs: Sequence[Tensor | None], asked: Sequence[bool]
) -> Iterator[Tensor | None]:
    """The gradients that are asked for, as differentiable functions of all inputs."""
    states, parameters = inputs[: len(ctx.counts)], inputs[len(ctx.counts) :]
    x = repeat_sources([(cast("Tensor", state), count) for state, count in zip(states, ctx.counts, strict=True)])
    for first in range(0, len(parameters), PER_STAGE):
        kernel, mixing, scale, shift = parameters[first : first + PER_STAGE]
        x = F.relu(x) if first else x
        dilation = ctx.dilations[first // PER_STAGE]
        x = convolve_depthwise(x, cast("Tensor", kernel), 1 if first else ctx.stride, dilation)
        x = F.conv2d(x, cast("Tensor", mixing), groups=sum(ctx.counts))
        x = F.batch_norm(x, None, None, scale, shift, training=True, eps=EPS)
    wanted = [tensor for tensor, needed in zip(inputs, asked, strict=True) if needed and tensor is not None]
    found = iter(torch.autograd.grad(x, wanted, gradient, create_graph=True))
    return (next(found) if needed else None for needed in asked)
