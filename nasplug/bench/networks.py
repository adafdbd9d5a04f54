"""Training steps of a stand-alone network, beside torch's own modules that compute the same."""

from __future__ import annotations

import copy
from collections.abc import Callable

import attrs
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from nasplug.bench.timing import Measurement, measure
from nasplug.engine.assembly import place_network
from nasplug.parts import Network
from nasplug.values import ImageShape


@attrs.frozen
class ComparedNetwork:
    """A stand-alone network and the plain computation of it, measured in one run."""

    params: int
    """With its auxiliary head, if it has one."""
    fast: Measurement
    reference: Measurement


def plain_network(net: Network) -> fx.GraphModule:
    """The logits of a network with a copy of its weights, by torch's own operations, one after the other.

    That is what torch.fx records of it, in the mode in which it is, with its drop path and dropout.
    """
    return fx.symbolic_trace(copy.deepcopy(net))


def compare_network(
    net: Network, shape: ImageShape, *, batch: int, device: torch.device, repeats: int
) -> ComparedNetwork:
    """The loss of one batch in training mode and the gradients of all weights, in float32.

    The plain computation has contiguous layout.
    """
    net.train()
    plain = plain_network(net).to(device)
    place_network(net, device)
    images = torch.randn(batch, *shape.tensor_shape, device=device)
    labels = torch.arange(batch, device=device) % shape.classes
    fast, reference = measure([_step(net, images, labels), _step(plain, images, labels)], device, repeats)
    return ComparedNetwork(sum(parameter.numel() for parameter in net.parameters()), fast, reference)


def _step(net: nn.Module, images: Tensor, labels: Tensor) -> Callable[[], None]:
    def step() -> None:
        F.cross_entropy(net(images), labels).backward()
        net.zero_grad(set_to_none=True)

    return step
