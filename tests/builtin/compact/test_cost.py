from __future__ import annotations

from random import Random

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nasplug.builtin.compact import Compact
from nasplug.values import Costs, Genotype, ImageShape
from tests.builtin.mixtures import sample_paths

OPTIONS = [
    ({}, ImageShape(1, 16, 3)),
    ({"operations": ("all", "ir3e1", "conv7"), "channels": 9}, ImageShape(3, 33, 7)),
    ({"channels": 3, "head": 7}, ImageShape(3, 32, 2)),
    ({"stem": "imagenet", "channels": 40, "activation": "relu6"}, ImageShape(3, 27, 2)),
    ({"stages": ("s2 2x8", "s1 1x12", "s1 2x12"), "multipliers": (0.5, 3.0)}, ImageShape(4, 64, 2)),
]


def counted(net: torch.nn.Module, shape: tuple[int, ...]) -> Costs:
    """Parameters and multiply-accumulates, counted on the network itself."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net.eval()(torch.zeros(1, *shape))
    params = sum(parameter.numel() for parameter in net.parameters())
    return Costs(params=params, macs=counter.get_total_flops() // 2)


@pytest.mark.parametrize(("options", "shape"), OPTIONS)
def test_counted_cost_is_that_of_the_built_network_and_of_its_layers(options, shape):
    space = Compact(**options)
    for seed in range(8):
        genotype = space.random(Random(seed))
        net = space.network(genotype, shape)
        expected = counted(net, (shape.channels, shape.size, shape.size))
        assert space.cost(genotype, shape) == expected
        layers = space.layer_list(genotype, shape)
        assert Costs.total(counted(layer.build(), layer.shape) for layer in layers) == expected


@pytest.mark.parametrize(("options", "shape"), OPTIONS)
def test_costs_and_layers_of_paths_add_up_and_depend_on_the_stage_before_by_its_interface_alone(options, shape):
    space, generator = Compact(**options), Random(1)
    for _ in range(50):
        paths = sample_paths(space, generator)
        costs = [space.path_cost(*each, shape) for each in paths]
        genotype = Genotype.join(path for _, path, _ in paths)
        assert Costs.total(costs) == space.cost(genotype, shape)
        layers = [layer for each in paths for layer in space.path_layers(*each, shape)]
        assert layers == list(space.layer_list(genotype, shape))


def test_layers_in_a_row_are_the_network():
    shape, space = ImageShape(3, 15, 4), Compact(operations=("all",), head=6)
    genotype = space.random(Random(3))
    x = torch.zeros(2, 3, 15, 15)
    for layer in space.layer_list(genotype, shape):
        assert x.shape[1:] == layer.shape
        x = layer.build().eval()(x)
    assert x.shape == (2, 4)


def test_layers_of_one_key_and_shape_are_alike():
    shape, known = ImageShape(3, 16, 4), {}
    for seed in range(30):
        space = Compact(operations=("all",), stages=("s1 2x8", "s1 2x8", "s2 2x8"))
        for layer in space.layer_list(space.random(Random(seed)), shape):
            text = str(layer.build())
            assert known.setdefault(layer, text) == text
