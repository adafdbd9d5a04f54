from __future__ import annotations

import copy
import math
import pickle
from random import Random

import pytest
import torch
from torch import nn

from nasplug.builtin.compact import Compact
from nasplug.builtin.compact import operations as operations_module
from nasplug.deployment.graph import deployed_graph
from nasplug.values import ImageShape

LINE = "8s1 res3 skip ir3e2 | 12s2 res3 ir5e2 ds3"
SHAPE = ImageShape(2, 9, 4)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Compact().network(Compact().parse(LINE), SHAPE).double()


def images(count: int = 4) -> torch.Tensor:
    return torch.randn(count, 2, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_taps_are_the_maps_of_stages_and_layers_left_out_have_no_module(network):
    assert [tap.shape for tap in network.outputs(images()).taps] == [(4, 8, 9, 9), (4, 12, 5, 5)]
    assert [list(stage) for stage in network.stages] == [["1", "3"], ["1", "2", "3"]]


@pytest.mark.parametrize(("stem", "size", "stride"), [("auto", 63, 1), ("auto", 64, 2), ("small", 64, 1)])
def test_the_stem_halves_images_of_64_pixels_by_default(stem, size, stride):
    space = Compact(stem=stem)
    network = space.network(space.parse(LINE), ImageShape(3, size, 2))
    assert network.stem(torch.zeros(1, 3, size, size)).shape == (1, 8, size // stride, size // stride)


def test_branches_beside_the_map_itself_are_dropped_more_often_the_deeper_they_are(network, monkeypatch):
    rates = []
    monkeypatch.setattr(operations_module, "drop_path", lambda x, rate: rates.append(rate) or 0 * x)
    network.drop_path = 0.5
    first = network.outputs(images()).taps[0]
    # Of five layers, the third changes its shape, and the last has no shortcut.
    assert rates == pytest.approx([0.1, 0.2, 0.4])
    torch.testing.assert_close(first, network.stem(images()))
    rates.clear()
    network.eval()(images())
    network.train().drop_path = 0.0
    network(images())
    assert rates == []


def test_dropout_zeroes_inputs_of_the_classifier_in_training_alone(network):
    network.eval()
    network.dropout = 0.999999
    assert not torch.equal(network(images()), network.head.classifier.bias.expand(4, -1))
    network.train()
    torch.testing.assert_close(network(images()), network.head.classifier.bias.expand(4, -1))


def test_activations_are_those_of_the_option():
    torch.manual_seed(0)
    for activation, most in (("relu", math.inf), ("relu6", 6.0)):
        space = Compact(activation=activation)
        network = space.network(space.parse("8s1 conv3 | 8s2 ds3"), SHAPE).double()
        with torch.no_grad():
            for module in network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.weight.mul_(20)
        taps = network.outputs(images()).taps
        for tap in taps:
            assert tap.min() == 0.0
            assert (tap.max() == 6.0) == (most == 6.0)


def test_initial_weights_have_the_variance_of_he_over_the_fan_out():
    torch.manual_seed(0)
    space = Compact()
    network = space.network(space.parse("64s1 conv3 ds5 ir3e4"), SHAPE)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 1000:
            fan_out = module.out_channels * math.prod(module.kernel_size)
            assert float(module.weight.detach().std()) == pytest.approx(math.sqrt(2 / fan_out), rel=0.1)


def test_networks_are_copied_pickled_and_deployed(network):
    network.eval()
    for again in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):  # noqa: S301
        assert torch.equal(again(images()), network(images()))
    graph = deployed_graph(network.float(), (2, 9, 9))
    names = [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]
    assert not [name for name in names if "batch_norm" in name]
    # The stem, 2 + 3 in the first stage, 3 + 3 + 2 in the second.
    assert sum("conv2d" in name for name in names) == 14
    assert len(names) == 14 + 4 + 11 + 2  # convolutions, additions, activations, pool and classifier
    x = images(1).float()
    torch.testing.assert_close(graph(x), network(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_maps_of_one_pixel_and_one_image_are_computed(seed):
    space = Compact(operations=("all",), stages=("s2 2x8", "s2 2x8", "s2 2x8"))
    net = space.network(space.random(Random(seed)), ImageShape(1, 2, 2)).eval()
    assert net(torch.ones(1, 1, 2, 2)).isfinite().all()
