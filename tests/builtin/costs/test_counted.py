"""Costs of hand-designed networks, as published or computed by hand."""

from __future__ import annotations

from random import Random

import pytest
import torch
from torch import Tensor, nn

from nasplug.builtin.compact.space import Compact
from nasplug.builtin.costs.counted import Macs, Operations, Params, Size
from nasplug.builtin.costs.memory import Memory
from nasplug.builtin.darts.space import Darts
from nasplug.builtin.mbconv.space import MBConvSpace
from nasplug.builtin.nb201.space import NasBench201
from nasplug.deployment.graph import deployed_graph
from nasplug.parts import CostModel, SearchSpace
from nasplug.values import ImageShape


def convolution(inputs: int, outputs: int, stride: int = 1, *, bias: bool, relu: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=bias), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, bias: bool) -> None:
        super().__init__()
        self.main = nn.Sequential(
            convolution(inputs, outputs, stride, bias=bias), convolution(outputs, outputs, bias=bias, relu=False)
        )
        self.side = nn.Conv2d(inputs, outputs, 1, stride, bias=bias) if stride > 1 else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.main(maps) + self.side(maps))


class ResNet8(nn.Module):
    """The image classification network of MLPerf Tiny (Banbury et al., 2021)."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.features = nn.Sequential(
            convolution(3, 16, bias=bias),
            Residual(16, 16, 1, bias),
            Residual(16, 32, 2, bias),
            Residual(32, 64, 2, bias),
        )
        self.classify = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.features(images).mean((2, 3)))
        return logits


def test_resnet8_costs_what_is_published() -> None:
    plain, biased = ResNet8(bias=False).eval(), ResNet8(bias=True).eval()

    assert Params().cost(plain, (3, 32, 32)) == 77_850
    assert Params().cost(biased, (3, 32, 32)) == 78_186
    assert Macs().cost(plain, (3, 32, 32)) == Macs().cost(biased, (3, 32, 32)) == 12_501_632


def test_operations_are_those_left_after_batch_norms_are_folded() -> None:
    # Stem 2; pairs of 2 convolutions, addition and 2 activations, of which two have a convolution beside them; pool and
    # classifier.
    assert Operations().cost(ResNet8(bias=False).eval(), (3, 32, 32)) == 2 + 5 + 6 + 6 + 2


def test_a_split_is_one_operation() -> None:
    class Halves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            one, other = x.split(1, 1)
            return one + other

    assert Operations().cost(Halves().eval(), (2, 3, 3)) == 2


def test_resnet8_needs_three_maps_of_its_first_stage() -> None:
    # Within the first residual pair: its input, the map between its convolutions, and its output.
    assert Memory().cost(ResNet8(bias=False).eval(), (3, 32, 32)) == 3 * 16 * 32 * 32 * 4


def test_size_counts_weights_after_batch_norms_are_folded() -> None:
    # Of the biased network nothing is left of a batch norm: weights and one bias for each channel.
    net = ResNet8(bias=True).eval()
    norms = sum(
        parameter.numel()
        for module in net.modules()
        if isinstance(module, nn.BatchNorm2d)
        for parameter in module.parameters()
    )

    assert Size().cost(net, (3, 32, 32)) == 4 * (78_186 - norms)


def test_the_deployed_graph_computes_what_the_network_computes() -> None:
    torch.manual_seed(0)
    net = ResNet8(bias=False).double().float().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    images = torch.randn(1, 3, 32, 32)

    graph = deployed_graph(net, (3, 32, 32))

    torch.testing.assert_close(graph(images), net(images), atol=1e-4, rtol=1e-4)
    assert not [node for node in graph.graph.nodes if "batch_norm" in str(node.target)]


@pytest.mark.parametrize(
    "space",
    [Compact(), Darts(channels=4, cells=2), NasBench201(channels=4, cells=1), MBConvSpace()],
    ids=lambda space: space.name,
)
def test_params_and_macs_are_those_that_spaces_compute(space: SearchSpace) -> None:
    shape = ImageShape(channels=3, size=16, classes=7)
    for seed in range(3):
        genotype = space.random(Random(seed))
        net, cost = space.network(genotype, shape).eval(), space.cost(genotype, shape)

        assert Params().cost(net, (3, 16, 16)) == cost.params
        assert Macs().cost(net, (3, 16, 16)) == cost.macs


@pytest.mark.parametrize(
    "space",
    [Darts(channels=4, cells=2, nodes=2), MBConvSpace(blocks=("s1 1x16", "s2 2x24"), channels=4)],
    ids=lambda space: space.name,
)
def test_the_size_of_a_network_is_that_of_its_layers(space: SearchSpace) -> None:
    shape = ImageShape(channels=3, size=16, classes=7)
    model = CostModel(space, shape, {"size": Size()})
    for seed in range(2):
        genotype = space.random(Random(seed))
        net = space.network(genotype, shape).eval()

        assert model.costs(genotype)["size"] == Size().cost(net, (3, 16, 16))


def test_edges_that_reach_no_output_are_listed_and_not_deployed() -> None:
    space, shape = NasBench201(channels=4, cells=1), ImageShape(channels=3, size=8, classes=7)
    genotype = space.parse("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")
    model = CostModel(space, shape, {"size": Size()})
    net = space.network(genotype, shape).eval()
    unread = sum(4 * (9 * channels**2 + channels) for channels in (4, 8, 16))

    assert model.costs(genotype)["size"] == Size().cost(net, (3, 8, 8)) + unread


def test_the_size_in_8_bits_is_a_byte_a_weight_and_four_for_each_scale_and_bias() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 5, bias=False),
    ).eval()  # fmt: skip
    assert Size().cost(net, (3, 8, 8)) == 4 * (8 * 27 + 8 + 5 * 8)
    # The batch norm leaves the convolution a bias; the linear layer has none.
    assert Size(precision="int8").cost(net, (3, 8, 8)) == (8 * 27 + 4 * 8 + 4 * 8) + (5 * 8 + 4 * 5)


def test_resnet8_in_8_bits_takes_a_third_of_its_float_weights() -> None:
    net = ResNet8(bias=False).eval()
    kernels = [each for each in net.parameters() if each.dim() > 1]
    biases = [each for name, each in net.named_parameters() if each.dim() == 1 and name.endswith("bias")]
    expected = sum(each.numel() + 4 * len(each) for each in kernels) + sum(4 * each.numel() for each in biases)
    size = Size(precision="int8").cost(net, (3, 32, 32))
    assert size == expected
    assert size < 0.3 * Size().cost(net, (3, 32, 32))
