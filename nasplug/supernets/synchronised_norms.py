"""Batch norms that use the statistics of a batch of which each of several processes has a part.

`torch.nn.SyncBatchNorm` is for CUDA alone and for modules of one kind. Here every batch norm by the statistics of a
batch is replaced as it is computed, whoever does so: a supernet, a torch module, a stage that standardises features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, distributed
from torch.overrides import TorchFunctionMode

_ACTIVE = ContextVar("norms are synchronised", default=False)


def norms_are_synchronised() -> bool:
    """Whether batch norms are computed together with other processes now.

    Layers that compute them in ways of their own have to leave it to `torch.nn.functional.batch_norm` then.
    """
    return _ACTIVE.get()


@contextmanager
def synchronised_norms() -> Iterator[None]:
    """Inside the block, batch norms by the statistics of a batch use those of the parts of all processes.

    The processes are those of torch's default group, each of which has to compute the same norms in the same order.
    Gradients flow through the statistics, to all processes: the gradient on each is that of the sum of all losses.
    """
    token = _ACTIVE.set(True)
    try:
        with _Replacement():
            yield
    finally:
        _ACTIVE.reset(token)


class _Replacement(TorchFunctionMode):
    """Computes `torch.nn.functional.batch_norm` in training together with the other processes."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is F.batch_norm:
            return _norm_or_replacement(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _norm_or_replacement(
    input: Tensor,  # noqa: A002  # the names of torch's function, by which it may be called
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not training:
        return F.batch_norm(input, running_mean, running_var, weight, bias, eps=eps)
    return normalise_together(input, running_mean, running_var, weight, bias, momentum, eps)


def normalise_together(
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Batch norm of (N, C, ...) by the mean and variance over the values of all processes, N of each may differ.

    The result has the type of `x`; statistics are computed in float32 at least, the variance about the common mean.
    Running averages move towards mean and unbiased variance with this momentum, as torch's do, alike everywhere.
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    over, shape = [0, *range(2, x.dim())], [1, -1, *[1] * (x.dim() - 2)]
    count = wide.new_full((1,), x.numel() // x.shape[1])
    sums = sum_over_processes(torch.cat([wide.sum(over), count]))
    total = sums[-1].detach()
    mean = sums[:-1] / total
    centred = wide - mean.view(shape)
    var = sum_over_processes(centred.square().sum(over)) / total
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_((var * (total / (total - 1))).to(running_var.dtype), momentum)
    scale = (var + eps).rsqrt()
    if weight is not None:
        scale = scale * weight
    normalised = centred * scale.view(shape)
    return (normalised if bias is None else normalised + bias.view(shape)).to(x.dtype)


def sum_over_processes(x: Tensor) -> Tensor:
    """The sum of a tensor over all processes, with its gradient (any number of times): the sum of their gradients."""
    summed: Tensor = _Sum.apply(x)
    return summed


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004
        summed = x.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        return sum_over_processes(gradients[0])
