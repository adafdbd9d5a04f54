"""How far supernets in bf16 are from exact arithmetic.

The unit of bf16 is U = 2^-8: every map that a layer gives is off by up to U times itself, and so is every gradient on
its way back. Where an error turns the sign at a ReLU or the order under a max pool, a gradient takes another way
altogether, and then errors are much larger than U. How often that happens belongs to the network, not to how it is
computed. So a fast supernet is compared with the plain one under the same autocast, and may have lost no more than it.
Without such steps, as in mbconv, independent errors add in squares.
"""

from __future__ import annotations

import copy
import math

import attrs
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.bench import plain_supernet
from nasplug.builtin.darts import Darts
from nasplug.builtin.mbconv import MBConvSpace
from nasplug.builtin.nb201 import NasBench201
from nasplug.parts import SearchSpace
from nasplug.values import ImageShape

U = 2.0**-8
SHAPE = ImageShape(3, 8, 5)
DRAWS = 3
"""Batches over which errors are taken together."""
SPACES = {
    "darts, edges": Darts(nodes=2, channels=4, cells=2),
    "darts, nodes": Darts(
        topology="per-cell", choices="node", operations=("nadd3", "max_pool_3x3"), nodes=2, channels=4, cells=3
    ),
    "nb201": NasBench201(channels=4, cells=1),
}
MBCONV = MBConvSpace(blocks=("s1 1x8 2x8", "s2 2x12"), kernels=(3, 5), expansions=(2, 3), channels=8)


@attrs.frozen
class Computed:
    """Losses and gradients of several batches, one after the other, in float64."""

    losses: Tensor
    weights: Tensor
    alpha: Tensor

    def errors(self, exact: Computed) -> dict[str, float]:
        """Relative errors: the norm of what is wrong over that of what is right."""
        pairs = {name: (getattr(self, name), getattr(exact, name)) for name in attrs.fields_dict(Computed)}
        return {name: float((one - other).norm() / other.norm()) for name, (one, other) in pairs.items()}


def computed(net: nn.Module, weights: list[Tensor], bf16: bool) -> Computed:
    dtype = weights[0].dtype
    generator = torch.Generator().manual_seed(1)
    found: list[tuple[Tensor, ...]] = []
    for _ in range(DRAWS):
        images = torch.randn(16, 3, 8, 8, generator=generator).to(dtype)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = net(images)
        assert logits.dtype == (torch.bfloat16 if bf16 else dtype)
        loss = F.cross_entropy(logits.to(dtype), torch.arange(16) % 5)
        alpha, *gradients = torch.autograd.grad(loss, [net.choices.alpha, *weights], allow_unused=True)
        zeros = (torch.zeros_like(each) if one is None else one for one, each in zip(gradients, weights, strict=True))
        found.append((loss.detach(), torch.cat([each.flatten() for each in zeros]), alpha.flatten()))
    return Computed(*(torch.stack(each).double().flatten() for each in zip(*found, strict=True)))


def built(space: SearchSpace) -> nn.Module:
    torch.manual_seed(0)
    net = space.supernet(SHAPE)
    with torch.no_grad():
        net.choices.alpha.normal_()
    return net


def coarsened(weights: list[Tensor], places: int | None) -> None:
    """Leaves weights so many binary places, of which bf16 has 8; all of them if None."""
    for weight in weights if places else ():
        mantissa, exponent = weight.detach().frexp()
        weight.detach().copy_((mantissa * 2**places).round().ldexp(exponent - places))


def beside_plain(space: SearchSpace, places: int | None = None) -> tuple[dict[str, float], dict[str, float]]:
    """The errors of the fast supernet, whose weights may be made coarse, and of the plain one."""
    net = built(space)
    exact, plain = copy.deepcopy(net).double(), plain_supernet(space.name, net)
    same = [
        (getattr(own, kind), getattr(fast, kind), getattr(double, kind))
        for (own, fast), (_, double) in zip(plain.pair_layers(net), plain.pair_layers(exact), strict=True)
        for kind in ("weight", "bias")
        if getattr(fast, kind, None) is not None
    ]
    own, fast, double = (list(each) for each in zip(*same, strict=True))
    reference = computed(exact, double, bf16=False)
    coarsened(fast, places)
    return computed(net, fast, bf16=True).errors(reference), computed(plain, own, bf16=True).errors(reference)


def alone(space: SearchSpace, places: int | None = None) -> dict[str, float]:
    net = built(space)
    weights, exact = weights_of(net), copy.deepcopy(net).double()
    coarsened(weights, places)
    return computed(net, weights, bf16=True).errors(computed(exact, weights_of(exact), bf16=False))


def weights_of(net: nn.Module) -> list[Tensor]:
    return [each for each in net.parameters() if each is not net.choices.alpha]


def too_far(fast: dict[str, float], plain: dict[str, float]) -> set[str]:
    """What of the fast supernet has lost more than half as much again as that of the plain one, and one U."""
    return {name for name in fast if fast[name] > 1.5 * plain[name] + U}


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_a_fast_supernet_loses_no_more_than_the_plain_one(space):
    assert not too_far(*beside_plain(space))


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_three_places_less_than_bf16_has_are_noticed(space):
    assert "weights" in too_far(*beside_plain(space, places=5))


# Of the longest way through the network: the maps of stem, four layers and head, and as many gradients on the way back.
ROUNDINGS = 2 * (9 + 4 * 10 + 5)


def test_errors_of_mbconv_add_in_squares():
    errors = alone(MBCONV)
    # Norms and gates may double what reaches them.
    assert errors["losses"] < U
    assert errors["weights"] < 2 * math.sqrt(ROUNDINGS) * U
    assert errors["alpha"] < 2 * math.sqrt(ROUNDINGS) * U


def test_places_that_mbconv_lacks_are_noticed():
    assert alone(MBCONV, places=5)["weights"] > 2 * math.sqrt(ROUNDINGS) * U
