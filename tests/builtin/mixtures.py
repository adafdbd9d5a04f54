"""What tests of dense supernets of blocks have in common."""

from __future__ import annotations

import torch

EXACT = {"rtol": 1e-9, "atol": 1e-11}


def randomised(net):
    """The supernet in float64, with random alpha and norms that are not those of the start."""
    net = net.double()
    with torch.no_grad():
        net.choices.alpha.normal_()
        for name, parameter in net.named_parameters():
            if "norm" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return net


def gradients(net, logits):
    """The gradients of a loss that depends on every logit, by name, without those that are None or zero."""
    named = dict(net.named_parameters())
    loss = (logits * torch.linspace(1, 2, logits.numel(), dtype=logits.dtype).view(logits.shape)).sum()
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return {
        name: gradient for name, gradient in zip(named, found, strict=True) if gradient is not None and gradient.any()
    }


def assert_same_outputs(net, outputs, logits, taps):
    """Logits, taps and gradients are those of the plain supernet; returns the gradients by name."""
    torch.testing.assert_close(outputs.logits, logits, **EXACT)
    for tap, expected_tap in zip(outputs.taps, taps, strict=True):
        torch.testing.assert_close(tap, expected_tap, **EXACT)
    expected, computed = gradients(net, logits), gradients(net, outputs.logits)
    # A bias in front of a batch norm of the whole batch has a gradient of zero, up to rounding.
    parameters = dict(net.named_parameters())
    for name in expected.keys() | computed.keys():
        zero = torch.zeros_like(parameters[name])
        torch.testing.assert_close(computed.get(name, zero), expected.get(name, zero), rtol=1e-7, atol=1e-10)
    return expected


def sample_paths(space, generator):
    """A path through each block, and before each another path with the same interface as the one that it follows."""
    blocks = range(space.taps())
    parts = [space.paths(block).sample(generator) for block in blocks]
    others = [space.paths(block).sample(generator) for block in blocks]
    befores = [
        other if space.interface(block, other) == space.interface(block, part) else part
        for block, part, other in zip(blocks, parts, others, strict=True)
    ]
    return list(zip(blocks, parts, [None, *befores[:-1]], strict=True))
