"""Costs that are summed over layers: what every network costs beside its layers counts once."""

from __future__ import annotations

from random import Random

import attrs
import pytest

from nasplug.parts import CostMeasure, CostModel
from nasplug.testing.toy import Toy
from nasplug.values import Genotype, ImageShape

SHAPE = ImageShape(channels=2, size=6, classes=3)


@attrs.frozen
class Calls(CostMeasure):
    """Seven for every network, and one more than its parameters for every layer."""

    additive = True

    def cost(self, net, shape):
        raise AssertionError("a network is built")

    def layer_cost(self, layer, shape):
        return 1.0 + sum(parameter.numel() for parameter in layer.parameters())

    def base_cost(self):
        return 7.0


@pytest.fixture
def model() -> CostModel:
    return CostModel(Toy(cells=3), SHAPE, {"calls": Calls()})


def test_a_network_costs_its_base_and_its_layers(model):
    space = model.space
    for seed in range(3):
        genotype = space.random(Random(seed))
        expected = 7 + len(space.layer_list(genotype, SHAPE)) + space.cost(genotype, SHAPE).params

        assert model.costs(genotype)["calls"] == expected
        assert model.path_costs(None, genotype, names=["calls"])["calls"] == expected


def test_the_paths_of_all_blocks_cost_what_the_network_costs(model):
    paths = [model.space.paths(block).sample(Random(block)) for block in range(3)]
    befores = [None, *paths[:-1]]
    parts = [
        model.path_costs(block, path, before, ["calls"])["calls"]
        for block, (path, before) in enumerate(zip(paths, befores, strict=True))
    ]

    assert sum(parts) == model.costs(Genotype.join(paths))["calls"]


def test_equal_layers_are_measured_once_and_for_all_sizes():
    asked = []

    def cost(measure, layer):
        asked.append(layer)
        return 1.0

    model = CostModel(Toy(cells=2), SHAPE, {"calls": Calls()}, cost)
    genotype = Toy(cells=2).parse("convolution convolution")
    model.costs(genotype)
    assert len(asked) == len(set(asked)) == 5  # base, lift, cell, join, head

    wider = model.resized(Toy(cells=2, channels=8))
    wider.costs(genotype)
    wider.costs(genotype)
    assert asked.count(None) == 1
    assert len(asked) == len(set(asked)) == 9
