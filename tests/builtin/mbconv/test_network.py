from __future__ import annotations

import copy
import math
from random import Random

import pytest
import torch
from torch import nn

from nasplug.builtin.mbconv import MBConvSpace
from nasplug.builtin.mbconv import network as network_module
from nasplug.values import Genotype, ImageShape

PICKS = {
    "0/cell": ["2x16s1"],
    "0/1": ["k3e2"],
    "0/2": ["k5e3"],
    "1/cell": ["3x8s2"],
    "1/1": ["k3e2"],
    "1/2": ["k7e2"],
    "1/3": ["k3e1"],
}
GENOTYPE = Genotype("mbconv", PICKS)


@pytest.fixture
def network(shape):
    torch.manual_seed(0)
    return MBConvSpace(head=8).network(GENOTYPE, shape).double()


def test_a_network_is_the_chain_of_its_layers(network, plain_network):
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(network(images), plain_network(network, images, (1, 2)), rtol=1e-10, atol=1e-12)
    taps = network.outputs(images).taps
    assert [tap.shape for tap in taps] == [(4, 16, 8, 8), (4, 8, 4, 4)]


@pytest.mark.parametrize(("stem", "size", "stride"), [("auto", 63, 1), ("auto", 64, 2), ("small", 64, 1)])
def test_the_stem_halves_images_of_64_pixels_by_default(stem, size, stride):
    network = MBConvSpace(stem=stem, head=4).network(GENOTYPE, ImageShape(3, size, 2))
    assert network.stem(torch.zeros(1, 3, size, size)).shape == (1, 16, size // stride, size // stride)


def test_residual_branches_are_dropped_more_often_the_deeper_they_are(network, monkeypatch):
    rates = []
    monkeypatch.setattr(network_module, "drop_path", lambda x, rate: rates.append(rate) or 0 * x)
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    network.drop_path = 0.6
    taps = network.outputs(images).taps
    # Layers 1, 2, 4 and 5 of 6 (the stem's separable layer is number 0) keep map and channels.
    assert rates == pytest.approx([0.1, 0.2, 0.4, 0.5])
    torch.testing.assert_close(taps[0], network.stem(images))
    torch.testing.assert_close(taps[1], network.blocks[1][0](taps[0]))
    rates.clear()
    network.eval()(images)
    network.train().drop_path = 0.0
    network(images)
    assert rates == []


def test_dropped_branches_are_whole_samples_that_keep_the_mean(network):
    network.blocks[0] = network.blocks[0][:1]
    network.drop_path = 0.9  # so layer 1 of 6 is dropped with probability 0.15
    images = torch.randn(200, 1, 8, 8, dtype=torch.float64)
    x = network.stem(images)
    out, branch = network.outputs(images).taps[0], network.blocks[0][0](x)
    ratio = ((out - x) / branch).flatten(1)
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio), rtol=1e-6, atol=1e-6)
    assert set(ratio[:, 0].round(decimals=6).tolist()) == {0.0, round(1 / 0.85, 6)}
    assert 0.08 < float((ratio[:, 0] == 0).double().mean()) < 0.22


def test_dropout_is_before_the_classifier_and_only_in_training(network):
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        network.head.classifier.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
    network.dropout = 1.0
    assert torch.equal(network(images), network.head.classifier.bias.expand(4, 3))
    network.eval()
    assert not torch.allclose(network(images), network.head.classifier.bias.expand(4, 3))


def initialise_as_released(module: nn.Module) -> None:
    """The rule of DNA's released networks, where squeeze-excitation consists of 1x1 convolutions with bias."""
    if isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
        module.weight.data.normal_(0, math.sqrt(2.0 / fan_out))
        if module.bias is not None:
            module.bias.data.zero_()
    elif isinstance(module, nn.Linear):
        bound = 1.0 / math.sqrt(module.weight.size(0))
        module.weight.data.uniform_(-bound, bound)
        module.bias.data.zero_()


def test_initial_weights_have_the_moments_of_dna_s_released_networks():
    torch.manual_seed(0)
    space = MBConvSpace(blocks=("dna",))
    network = space.network(space.random(Random(0)), ImageShape(3, 224, 1000))
    seen = set()
    for name, module in network.named_modules():
        if not isinstance(module, (nn.Conv2d, nn.Linear)):
            continue
        released: nn.Module = copy.deepcopy(module)
        if name.endswith(("squeeze", "excite")):
            released = nn.Conv2d(module.in_features, module.out_features, 1)
        initialise_as_released(released)
        kind, count = name.split(".")[-1], module.weight.numel()
        assert module.weight.std().item() == pytest.approx(released.weight.std().item(), rel=6 / count**0.5), name
        assert abs(module.weight.mean().item()) < 5 * released.weight.std().item() / count**0.5, name
        assert module.bias is None or not module.bias.any(), name
        seen.add(kind)
    assert seen == {"convolution", "depthwise", "expand", "squeeze", "excite", "project", "classifier"}
    assert float(network.head.classifier.weight.detach().abs().max()) == pytest.approx(1000**-0.5, rel=0.01)
