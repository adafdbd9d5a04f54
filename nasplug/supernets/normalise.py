"""Batch norm of supernets: many candidates in one call, statistics only where someone asks for them.

While a supernet trains, every batch norm uses the statistics of its batch, and running averages would be a mixture of
all the architectures that it went through. So none are kept: a supernet that is to be evaluated has its statistics
measured by `recalibrate`, with the weights and the candidates that it then has. They are no part of its state dict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-5

NormOf = Callable[[int], nn.Module]
"""Makes the batch norm of so many channels: torch's for stand-alone networks, `Norm` for supernets."""


class Norm(nn.Module):
    """The statistics of one batch norm, and its affine parameters if it has any."""

    mean: Tensor
    var: Tensor

    def __init__(self, channels: int, affine: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.register_buffer("mean", torch.zeros(channels), persistent=False)
        self.register_buffer("var", torch.ones(channels), persistent=False)
        self.batches = 0
        """How many batches the statistics are the mean of."""
        self.measuring = False

    @property
    def uses_batch(self) -> bool:
        """Whether it normalises by the statistics of its batch and leaves no trace of them."""
        return not self.measuring and (self.training or not self.batches)

    def forward(self, x: Tensor) -> Tensor:
        """Normalises (N, C, H, W)."""
        return batch_norm(x, [self], self.weight, self.bias)

    @torch.no_grad()
    def measure(self, mean: Tensor, var: Tensor) -> None:
        """Takes the statistics of one more batch into the mean of all."""
        self.batches += 1
        self.mean.lerp_(mean.to(self.mean.dtype), 1 / self.batches)
        self.var.lerp_(var.to(self.var.dtype), 1 / self.batches)


def batch_norm(x: Tensor, norms: Sequence[Norm], weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """Batch norm of maps (N, C, H, W) whose channels belong to several norms, one after the other.

    In training the statistics are the batch's; in evaluation those last measured by `recalibrate`, or the batch's if
    none ever were. `weight` and `bias`, (C,), scale and shift the normalised channels.
    """
    first = norms[0]
    if weight is not None:
        # torch 2.15 reads a weight of stride 0 (an expanded one) beyond its end in the backward pass on a CPU.
        weight = weight.contiguous()
    if not first.training and first.batches and not first.measuring:
        mean, var = torch.cat([norm.mean for norm in norms]), torch.cat([norm.var for norm in norms])
        return F.batch_norm(x, mean, var, weight, bias, eps=EPS)
    if first.measuring:
        sizes = [len(norm.mean) for norm in norms]
        mean, var = (first.mean.new_zeros(sum(sizes)) for _ in range(2))
        # Momentum 1 leaves the statistics of this batch there, which are taken once for both purposes.
        normed = F.batch_norm(x, mean, var, weight, bias, training=True, momentum=1.0, eps=EPS)
        for norm, one_mean, one_var in zip(norms, mean.split(sizes), var.split(sizes), strict=True):
            norm.measure(one_mean, one_var)
        return normed
    return F.batch_norm(x, None, None, weight, bias, training=True, eps=EPS)


Stock = nn.modules.batchnorm._BatchNorm
AnyNorm = Norm | Stock


@torch.no_grad()
def recalibrate(net: nn.Module, batches: Iterable[Tensor]) -> None:
    """Measures the statistics of every `Norm` and every torch batch norm of a network, as means over these batches.

    Batches are images (N, C, H, W), of training images as a rule. All else computes as in evaluation meanwhile, so
    that nothing is dropped; the network is left in the mode in which it was.
    """
    mode = net.training
    net.eval()
    try:
        with measuring(norms_of(net)):
            for images in batches:
                net(images)
    finally:
        net.train(mode)


def norms_of(module: nn.Module) -> tuple[AnyNorm, ...]:
    """Every `Norm` and every torch batch norm of a module."""
    return tuple(each for each in module.modules() if isinstance(each, Norm | Stock))


@contextmanager
def measuring(norms: Sequence[AnyNorm]) -> Iterator[None]:
    """Inside the block these norms use batch statistics, whatever their mode, and measure them anew.

    Afterwards they know the means over all batches that went through them, and use these in evaluation.
    """
    stock = [(each, each.momentum, each.training) for each in norms if isinstance(each, Stock)]
    own = [each for each in norms if isinstance(each, Norm)]
    for norm in own:
        norm.batches, norm.measuring = 0, True
    for module, _, _ in stock:
        module.reset_running_stats()
        module.momentum, module.training = None, True
    try:
        yield
    finally:
        for norm in own:
            norm.measuring = False
        for module, momentum, training in stock:
            module.momentum, module.training = momentum, training


def forget(norms: Sequence[AnyNorm]) -> None:
    """Makes norms forget what they measured, as if they never had."""
    for norm in norms:
        if isinstance(norm, Norm):
            norm.batches = 0
        else:
            norm.reset_running_stats()
