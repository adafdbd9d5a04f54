"""Batch norm of supernets: many candidates in one call, and statistics measured on demand instead of running averages.

While a supernet trains, every batch norm uses the statistics of its batch; running averages would mix all the
architectures that it has been. So none are kept: before a supernet is evaluated, `recalibrate` measures its statistics
with its present weights and candidates. They are not part of the state dict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.supernets.batch_statistics import EPS, compute_norm_gradients, normalise, takes_pixels_together

NormFactory = Callable[[int], nn.Module]
"""From a number of channels to a batch norm: torch's for stand-alone networks, `Norm` for supernets."""


TorchNorm = nn.modules.batchnorm._BatchNorm


class Norm(nn.Module):
    """The measured statistics of one batch norm, and its affine parameters if it has any."""

    mean: Tensor
    var: Tensor

    def __init__(self, channels: int, affine: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.register_buffer("mean", torch.zeros(channels), persistent=False)
        self.register_buffer("var", torch.ones(channels), persistent=False)
        self.batches = 0
        """The number of batches over which the statistics are averaged; 0: none have been measured."""
        self.is_measuring = False
        """Whether it adds the statistics of every batch to the measured ones; set by `measure_statistics`."""

    @property
    def uses_batch(self) -> bool:
        """Whether it normalises by the statistics of its batch and records nothing."""
        return not self.is_measuring and (self.training or not self.batches)

    def forward(self, x: Tensor) -> Tensor:
        """Normalises (N, C, H, W)."""
        return batch_norm(x, [self], self.weight, self.bias)

    @torch.no_grad()
    def measure(self, mean: Tensor, var: Tensor) -> None:
        """Updates the measured statistics by those of one more batch: of all channels, or of the first ones alone."""
        self.batches += 1
        for measured, value in ((self.mean, mean), (self.var, var)):
            measured[: len(value)].lerp_(value.to(measured.dtype), 1 / self.batches)


def batch_norm(
    x: Tensor,
    norms: Sequence[Norm],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    sizes: Sequence[int] | None = None,
) -> Tensor:
    """Batch norm of maps (N, C, H, W) whose channels belong to `norms`, concatenated in this order.

    Where the map has only the first channels of the norms, `sizes` says how many of each.

    In training mode the statistics are those of the batch; in evaluation mode those measured last by `recalibrate`, or
    those of the batch if none have been measured. `weight` and `bias`, (C,), scale and shift the normalised channels.
    """
    first = norms[0]
    sizes = [len(norm.mean) for norm in norms] if sizes is None else list(sizes)
    if weight is not None:
        # torch 2.15 reads a weight of stride 0 (an expanded one) beyond its end in the backward pass on a CPU.
        weight = weight.contiguous()
    if not first.training and first.batches and not first.is_measuring:
        mean = torch.cat([norm.mean[:size] for norm, size in zip(norms, sizes, strict=True)])
        var = torch.cat([norm.var[:size] for norm, size in zip(norms, sizes, strict=True)])
        return F.batch_norm(x, mean, var, weight, bias, eps=EPS)
    if first.is_measuring:
        mean, var = (first.mean.new_zeros(sum(sizes)) for _ in range(2))
        # With momentum 1 the running statistics are those of this batch, so they are computed only once.
        normalised = F.batch_norm(x, mean, var, weight, bias, training=True, momentum=1.0, eps=EPS)
        for norm, norm_mean, norm_var in zip(norms, mean.split(sizes), var.split(sizes), strict=True):
            norm.measure(norm_mean, norm_var)
        return normalised
    return F.batch_norm(x, None, None, weight, bias, training=True, eps=EPS)


def affine_batch_norm(
    x: Tensor, norms: Sequence[nn.Module], factors: Tensor | None = None, sizes: Sequence[int] | None = None
) -> Tensor:
    """`batch_norm` with the affine parameters of the norms, each of which is a `Norm` that has them.

    `factors` multiply the result, channel by channel: (C, 1), or (norms, C / norms) or (norms, 1) where the norms are
    equally wide. `sizes` as in `batch_norm`.
    """
    affine = cast("Sequence[Norm]", norms)
    counts = [len(norm.mean) for norm in affine] if sizes is None else sizes
    scale, shift = (
        torch.cat([_first(values, count) for values, count in zip(parameters, counts, strict=True)])
        for parameters in ([norm.weight for norm in affine], [norm.bias for norm in affine])
    )
    if factors is not None:
        scale, shift = ((parameter.view(len(factors), -1) * factors).flatten() for parameter in (scale, shift))
    return batch_norm(x, affine, scale, shift, counts)


def _first(values: Tensor | None, count: int) -> Tensor:
    """The first `count` of the values of a parameter, which is there."""
    parameter = cast("Tensor", values)
    return parameter if len(parameter) == count else parameter[:count]


AnyNorm = Norm | TorchNorm


def train_norms(norms: Sequence[TorchNorm], x: Tensor) -> Tensor:
    """The result of torch's batch norms in training mode on a CPU for a map (N, C, H, W); their averages are updated.

    The channels of the map belong to `norms`, concatenated in this order.
    """
    first = norms[0]
    if len(norms) == 1 and not takes_pixels_together(x):
        normed: Tensor = first(x)
        return normed
    weight, bias = torch.cat([norm.weight for norm in norms]), torch.cat([norm.bias for norm in norms])
    result, mean, inverse = _NormOfBatch.apply(x, weight, bias, first.eps)
    update_running_averages(norms, mean, inverse, x.numel() // x.shape[1])
    return cast("Tensor", result)


class _NormOfBatch(torch.autograd.Function):
    """`batch_statistics.normalise`; where its gradients are to be differentiated they are those of torch."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, ...]:
        result, mean, inverse = normalise(x, weight, bias, eps)
        ctx.save_for_backward(x, weight, bias, mean, inverse)
        ctx.mark_non_differentiable(mean, inverse)
        ctx.eps = eps
        return result, mean, inverse

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, inverse = ctx.saved_tensors
        asked = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():
            inputs = [tensor for tensor, needed in zip((x, weight, bias), asked, strict=True) if needed]
            result = F.batch_norm(x, None, None, weight, bias, training=True, eps=ctx.eps)
            found = iter(torch.autograd.grad(result, inputs, gradients[0], create_graph=True))
            return *(next(found) if needed else None for needed in asked), None
        by = compute_norm_gradients(gradients[0], x, mean, inverse, weight, asked_x=asked[0])
        return *(gradient if needed else None for gradient, needed in zip(by, asked, strict=True)), None


@torch.no_grad()
def update_running_averages(norms: Sequence[TorchNorm], mean: Tensor, inverse: Tensor, values: int) -> None:
    """Adds the statistics of a batch to the running averages of torch's batch norms, as these do themselves.

    `mean` and `inverse` are the means and inverse standard deviations of all their channels, concatenated; `values` is
    the number of values of a channel.
    """
    sizes = [norm.num_features for norm in norms]
    var = (inverse.square().reciprocal() - norms[0].eps).clamp_min(0) * (values / (values - 1))
    averages = [(norm.running_mean, norm.running_var, norm.num_batches_tracked) for norm in norms]
    means, variances, counts = (list(each) for each in zip(*averages, strict=True))
    torch._foreach_add_(counts, 1)
    momentum = norms[0].momentum
    weight = 1 / float(counts[0]) if momentum is None else momentum
    torch._foreach_lerp_([*means, *variances], [*mean.split(sizes), *var.split(sizes)], weight)


@torch.no_grad()
def recalibrate(net: nn.Module, batches: Iterable[Tensor]) -> None:
    """Measures the statistics of every `Norm` and every torch batch norm of `net`, as means over `batches`.

    Batches are images (N, C, H, W), usually training images. Everything but the norms computes in evaluation mode, so
    that nothing is dropped out; afterwards the network is in the mode in which it was before.
    """
    mode = net.training
    net.eval()
    try:
        with measure_statistics(find_norms(net)):
            for images in batches:
                net(images)
    finally:
        net.train(mode)


def find_norms(module: nn.Module) -> tuple[AnyNorm, ...]:
    """Every `Norm` and every torch batch norm of a module."""
    return tuple(norm for norm in module.modules() if isinstance(norm, Norm | TorchNorm))


@contextmanager
def measure_statistics(norms: Sequence[AnyNorm]) -> Iterator[None]:
    """Within the context these norms use batch statistics, whatever their mode, and measure them from scratch.

    Afterwards their measured statistics are the means over all batches that went through them.
    """
    torch_norms = [(norm, norm.momentum, norm.training) for norm in norms if isinstance(norm, TorchNorm)]
    own_norms = [norm for norm in norms if isinstance(norm, Norm)]
    for norm in own_norms:
        norm.batches, norm.is_measuring = 0, True
    for module, _, _ in torch_norms:
        module.reset_running_stats()
        module.momentum, module.training = None, True
    try:
        yield
    finally:
        for norm in own_norms:
            norm.is_measuring = False
        for module, momentum, training in torch_norms:
            module.momentum, module.training = momentum, training


def reset_statistics(norms: Sequence[AnyNorm]) -> None:
    """Discards the measured statistics of these norms."""
    for norm in norms:
        if isinstance(norm, Norm):
            norm.batches = 0
        else:
            norm.reset_running_stats()
