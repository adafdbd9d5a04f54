"""The layers that spaces list have, together, what the cost functions count without building anything."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from random import Random

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nasplug.builtin.compact import Compact
from nasplug.builtin.darts.space import Darts
from nasplug.builtin.mbconv.space import MBConvSpace
from nasplug.builtin.nb201.space import NasBench201
from nasplug.parts import LayerSpec, SearchSpace
from nasplug.testing.toy import Toy
from nasplug.values import Genotype, ImageShape

SPACES = {
    "compact": Compact(operations=("all",), channels=5, head=6),
    "darts": Darts(channels=2, cells=4),
    "darts, all operations at nodes": Darts(
        operations=("darts7", "conv_7x1_1x7", "sep_conv_7x7"), choices="node", channels=3, cells=2, nodes=2
    ),
    "darts, imagenet": Darts(channels=2, cells=3, nodes=2, topology="per-cell", stem="imagenet"),
    "nb201": NasBench201(channels=2, cells=2),
    "mbconv": MBConvSpace(channels=8),
    "mbconv, imagenet": MBConvSpace(channels=8, stem="imagenet", head=16),
    "toy": Toy(cells=3),
}
SIZES = {"darts, imagenet": (160, 161)}
"""Maps must stay larger than kernels: implementations leave out what only reads padding."""


@cache
def count(layer: LayerSpec) -> tuple[int, int]:
    module = layer.build().eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, *layer.shape))
    return sum(parameter.numel() for parameter in module.parameters()), counter.get_total_flops() // 2


def total(layers: Iterable[LayerSpec]) -> tuple[int, int]:
    params, macs = zip(*map(count, layers), strict=True)
    return sum(params), sum(macs)


@pytest.mark.parametrize("name", SPACES)
def test_layers_have_all_params_and_macs(name: str) -> None:
    space = SPACES[name]
    for seed in range(4):
        shape = ImageShape(channels=2, size=SIZES.get(name, (32, 33))[seed % 2], classes=3)
        genotype = space.random(Random(seed))
        layers, cost = space.layers(genotype, shape), space.cost(genotype, shape)

        assert layers is not None
        assert total(layers) == (cost.params, cost.macs)


@pytest.mark.parametrize("name", ["compact", "darts, imagenet", "mbconv", "mbconv, imagenet", "toy"])
def test_layers_of_a_path_have_what_path_cost_counts(name: str) -> None:
    space: SearchSpace = SPACES[name]
    blocks = sorted({block for choice in space.choice_list() for block in choice.blocks})
    shape = ImageShape(channels=2, size=SIZES.get(name, (32,))[0], classes=3)
    for seed in range(3):
        paths = [space.paths(block).sample(Random(seed)) for block in blocks]
        parts: list[LayerSpec] = []
        for block, (path, before) in enumerate(zip(paths, [None, *paths[:-1]], strict=True)):
            layers, cost = (each(block, path, before, shape) for each in (space.path_layers, space.path_cost))

            assert total(layers) == (cost.params, cost.macs)
            parts += layers
        if not name.startswith("darts"):  # where cells may be left out of a network, though not of its blocks
            whole = space.layers(Genotype.join(paths), shape)
            assert sorted(parts, key=str) == sorted(whole, key=str)


def test_sums_and_concatenations_are_layers_and_skip_connections_are_not() -> None:
    space = NasBench201(channels=2, cells=1)
    genotype = space.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|avg_pool_3x3~1|skip_connect~2|")
    layers = space.layers(genotype, ImageShape(channels=3, size=8, classes=5))
    first_stage = [layer for layer in layers if layer.shape == (2, 8, 8)]
    cell = sorted(layer.key for layer in first_stage if "residual" not in layer.key)

    assert cell == ["nb201 avg_pool_3x3", "nb201 nor_conv_3x3", "sum of 3"]

    darts = Darts(channels=4, cells=1, nodes=2)
    layers = darts.layers(darts.random(Random(0)), ImageShape(channels=3, size=8, classes=5))
    joined = [layer for layer in layers if layer.key == "concat of 2"]
    assert [layer.shape for layer in joined] == [(4, 8, 8)]
    assert joined[0].build()(torch.zeros(1, 4, 8, 8)).shape == (1, 8, 8, 8)
    summed = next(layer for layer in layers if layer.key == "sum of 2")
    assert torch.equal(summed.build()(torch.ones(1, 4, 8, 8)), torch.full((1, 4, 8, 8), 2.0))


def test_inputs_of_odd_size_are_those_of_the_network() -> None:
    # 17 pixels, halved by the first reduction to 9: the cell behind it still reads 17 as its older input.
    space = Darts(channels=2, cells=3, nodes=1, stem="cifar")
    shape, seen = ImageShape(channels=1, size=17, classes=2), []
    genotype = space.parse(
        '{"schema":1,"space":"darts","picks":{"normal/2":["skip_connect@0","skip_connect@1"],'
        '"reduce/2":["skip_connect@0","skip_connect@1"]}}'
    )
    net = space.network(genotype, shape).eval()
    for module in net.modules():
        if type(module).__name__ == "FactorizedReduce":
            module.register_forward_hook(lambda _, inputs, output: seen.append(tuple(inputs[0].shape[1:])))
    net(torch.zeros(1, 1, 17, 17))

    listed = [layer.shape for layer in space.layers(genotype, shape) if "reduce to" in layer.key or "skip" in layer.key]
    assert seen
    assert sorted(listed) == sorted(seen)
