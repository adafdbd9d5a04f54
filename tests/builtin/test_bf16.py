"""How far supernets in bf16 are from exact arithmetic.

The unit of bf16 is U = 2^-8: every output of a layer has a relative error of up to U, and so has every gradient in the
backward pass. Where an error changes the sign at a ReLU or the order under a max pool, gradients take another path, and
errors are much larger than U. How often that happens depends on the network, not on how it is computed. So a fast
supernet is compared with the plain one under the same autocast: its errors must not be much larger. Without such
discontinuities, as in mbconv, the squares of independent errors add up.
"""

from __future__ import annotations

import copy
import math

import attrs
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin.darts import Darts
from nasplug.builtin.mbconv import MBConvSpace
from nasplug.builtin.nb201 import NasBench201
from nasplug.parts import SearchSpace
from nasplug.values import ImageShape

U = 2.0**-8
SHAPE = ImageShape(3, 8, 5)
BATCHES = 3
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
        """Relative errors: the norm of the difference over that of the exact values."""
        pairs = {name: (getattr(self, name), getattr(exact, name)) for name in attrs.fields_dict(Computed)}
        return {
            name: float((value - reference).norm() / reference.norm()) for name, (value, reference) in pairs.items()
        }


def compute(net: nn.Module, weights: list[Tensor], bf16: bool) -> Computed:
    dtype = weights[0].dtype
    generator = torch.Generator().manual_seed(1)
    batches: list[tuple[Tensor, ...]] = []
    for _ in range(BATCHES):
        images = torch.randn(16, 3, 8, 8, generator=generator).to(dtype)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = net(images)
        assert logits.dtype == (torch.bfloat16 if bf16 else dtype)
        loss = F.cross_entropy(logits.to(dtype), torch.arange(16) % 5)
        alpha, *gradients = torch.autograd.grad(loss, [net.choices.alpha, *weights], allow_unused=True)
        filled = (
            torch.zeros_like(weight) if gradient is None else gradient
            for gradient, weight in zip(gradients, weights, strict=True)
        )
        batches.append((loss.detach(), torch.cat([gradient.flatten() for gradient in filled]), alpha.flatten()))
    return Computed(*(torch.stack(values).double().flatten() for values in zip(*batches, strict=True)))


def build_supernet(space: SearchSpace) -> nn.Module:
    torch.manual_seed(0)
    net = space.supernet(SHAPE)
    with torch.no_grad():
        net.choices.alpha.normal_()
    return net


def coarsen(weights: list[Tensor], places: int | None) -> None:
    """Rounds weights to this number of binary places, of which bf16 has 8; does nothing if None."""
    for weight in weights if places else ():
        mantissa, exponent = weight.detach().frexp()
        weight.detach().copy_((mantissa * 2**places).round().ldexp(exponent - places))


def errors_of_both(space: SearchSpace, places: int | None = None) -> tuple[dict[str, float], dict[str, float]]:
    """The errors of the fast supernet, whose weights may be rounded, and of the plain one."""
    net = build_supernet(space)
    exact, plain = copy.deepcopy(net).double(), space.plain_supernet(net)
    same = [
        (getattr(own, kind), getattr(fast, kind), getattr(double, kind))
        for (own, fast), (_, double) in zip(plain.pair_layers(net), plain.pair_layers(exact), strict=True)
        for kind in ("weight", "bias")
        if getattr(fast, kind, None) is not None
    ]
    own, fast, double = (list(parameters) for parameters in zip(*same, strict=True))
    reference = compute(exact, double, bf16=False)
    coarsen(fast, places)
    return compute(net, fast, bf16=True).errors(reference), compute(plain, own, bf16=True).errors(reference)


def errors_of_fast(space: SearchSpace, places: int | None = None) -> dict[str, float]:
    net = build_supernet(space)
    weights, exact = weights_of(net), copy.deepcopy(net).double()
    coarsen(weights, places)
    return compute(net, weights, bf16=True).errors(compute(exact, weights_of(exact), bf16=False))


def weights_of(net: nn.Module) -> list[Tensor]:
    return [parameter for parameter in net.parameters() if parameter is not net.choices.alpha]


def too_far(fast: dict[str, float], plain: dict[str, float]) -> set[str]:
    """The values whose error in the fast supernet exceeds 1.5 times that in the plain one plus one U."""
    return {name for name in fast if fast[name] > 1.5 * plain[name] + U}


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_a_fast_supernet_is_about_as_exact_as_the_plain_one(space):
    assert not too_far(*errors_of_both(space))


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_three_places_less_than_bf16_has_are_noticed(space):
    assert "weights" in too_far(*errors_of_both(space, places=5))


# Of the longest way through the network: the maps of stem, four layers and head, and as many gradients on the way back.
ROUNDINGS = 2 * (9 + 4 * 10 + 5)


def test_errors_of_mbconv_add_in_squares():
    errors = errors_of_fast(MBCONV)
    # Norms and gates may double what reaches them.
    assert errors["losses"] < U
    assert errors["weights"] < 2 * math.sqrt(ROUNDINGS) * U
    assert errors["alpha"] < 2 * math.sqrt(ROUNDINGS) * U


def test_places_that_mbconv_lacks_are_noticed():
    assert errors_of_fast(MBCONV, places=5)["weights"] > 2 * math.sqrt(ROUNDINGS) * U
