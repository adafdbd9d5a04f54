"""The comparison of fast supernets with the plain ones."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from nasplug.builtin.darts.plain_supernet import PlainDarts
from nasplug.builtin.darts.supernet import DartsSupernet
from nasplug.builtin.nb201.plain_supernet import PlainNasBench201


def layers_of(plain, net):
    """Name, weight of the plain layer and weight of the fast one, for every weight, every bias and alpha."""
    names = {layer: name for name, layer in plain.named_modules()}
    for own, other in plain.pair_layers(net):
        for kind in ("weight", "bias"):
            if getattr(other, kind, None) is not None:
                yield f"{names[own]}.{kind}", getattr(own, kind), getattr(other, kind)
    yield "alpha", net.choices.alpha, net.choices.alpha


def compare(net, images, labels, *, least=10, rtol=1e-9, atol=1e-12):
    """Loss and all gradients are those of the plain supernet; more than `least` gradients are not zero."""
    plain = (PlainDarts if isinstance(net, DartsSupernet) else PlainNasBench201)(net).copy_weights(net)
    names, plain_weights, weights = zip(*layers_of(plain, net), strict=True)
    loss, expected = F.cross_entropy(net(images), labels), F.cross_entropy(plain(images), labels)
    torch.testing.assert_close(loss, expected, rtol=rtol, atol=atol)
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    plain_gradients = torch.autograd.grad(expected, plain_weights, allow_unused=True)
    used = 0
    for name, actual, reference in zip(names, gradients, plain_gradients, strict=True):
        if actual is None or reference is None:
            # Candidates that read zeros, do not reach the output or are not active have no gradient, or one of zeros.
            assert all(gradient is None or not gradient.any() for gradient in (actual, reference)), name
            continue
        used += bool(reference.any())
        torch.testing.assert_close(
            actual, reference, rtol=rtol, atol=atol, msg=lambda text, name=name: f"{name}: {text}"
        )
    assert used > least


@pytest.fixture
def assert_same():
    return compare
