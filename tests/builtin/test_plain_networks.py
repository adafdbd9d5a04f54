"""Stand-alone networks compute what their torch modules compute one by one."""

from __future__ import annotations

import copy
from random import Random

import pytest
import torch
from torch import fx, nn

from nasplug.builtin.darts import Darts
from nasplug.builtin.mbconv import MBConvSpace
from nasplug.builtin.nb201 import NasBench201
from nasplug.supernets import batch_statistics
from nasplug.values import ImageShape

pytestmark = pytest.mark.slow

NADD = {"operations": ("nadd3",), "topology": "per-cell", "choices": "node"}
SPACES = {
    "darts": (Darts(cells=3, nodes=3, channels=4), 8),
    "darts, odd sizes": (Darts(cells=3, nodes=2, channels=3), 9),
    "darts, stem for ImageNet": (Darts(cells=2, nodes=2, channels=4, stem="imagenet"), 32),
    "dense cells": (Darts(**NADD, cells=3, channels=4), 8),
    "rare operations": (Darts(operations=("sep_conv_7x7", "conv_7x1_1x7"), cells=3, nodes=2, channels=4), 8),
    "mbconv": (MBConvSpace(), 16),
    "nb201": (NasBench201(channels=4, cells=1), 8),
}


class Everything(nn.Module):
    """All outputs of a network, as tensors."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        outputs = self.network.outputs(images)
        extra = () if outputs.auxiliary is None else (outputs.auxiliary,)
        return (outputs.logits, *outputs.taps, *extra)


def loss_and_gradients(net, images):
    torch.manual_seed(7)
    loss = sum(output.pow(3).sum() for output in net(images))
    return loss, torch.autograd.grad(loss, list(net.parameters()), materialize_grads=True)


@pytest.mark.parametrize("drop_path", [0.0, 0.4])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", SPACES)
def test_losses_gradients_and_running_averages_are_those_of_the_modules(name, seed, drop_path, monkeypatch):
    monkeypatch.setattr(batch_statistics, "MANY_PIXELS", 64)
    space, size = SPACES[name]
    torch.manual_seed(seed)
    genotype, shape = space.random(Random(seed)), ImageShape(3, size, 4)
    net = Everything(space.network(genotype, shape, auxiliary=space.auxiliary_heads)).double()
    net.network.drop_path, net.network.dropout = drop_path, 0.2 if drop_path else 0.0
    images = torch.randn(5, 3, size, size, dtype=torch.float64)
    for training in (True, False):
        net.train(training)
        plain = fx.symbolic_trace(copy.deepcopy(net))
        (loss, gradients), (expected_loss, expected) = (loss_and_gradients(each, images) for each in (net, plain))
        torch.testing.assert_close(loss, expected_loss, rtol=1e-10, atol=1e-10)
        by_name = dict(zip((parameter for parameter, _ in plain.named_parameters()), expected, strict=True))
        largest = max(float(gradient.abs().max()) for gradient in expected)
        for (parameter, value), gradient in zip(net.named_parameters(), gradients, strict=True):
            expected_gradient = by_name.get(parameter)  # the graph of evaluation has no auxiliary head
            expected_gradient = torch.zeros_like(value) if expected_gradient is None else expected_gradient
            torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-11 * largest)
        buffers = dict(net.named_buffers())
        for buffer, expected_value in plain.named_buffers():
            torch.testing.assert_close(buffers[buffer], expected_value, rtol=1e-10, atol=1e-10)
