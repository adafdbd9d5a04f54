"""Costs that are summed over layers: what every network costs beside its layers counts once."""

from __future__ import annotations

from random import Random

import attrs
import pytest

from nasplug.parts import CostMeasure, CostModel, SearchSpace
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


@attrs.frozen
class Built(CostMeasure):
    """A measure of built networks; notes which network was measured."""

    seen: list = attrs.field(factory=list)

    def cost(self, net, shape):
        self.seen.append(net)
        return 5.0


def test_networks_are_built_once_and_only_where_what_is_known_of_layers_keeps_its_limits():
    first, second = Built(), Built()
    model = CostModel(Toy(cells=3), SHAPE, {"first": first, "calls": Calls(), "second": second})
    genotype = model.space.random(Random(0))
    calls = model.costs(genotype, ["calls"])["calls"]

    assert model.names == ("params", "macs", "calls", "first", "second")
    assert not model.is_within(genotype, {"first": 9.0, "calls": calls - 1, "second": 9.0})
    assert not first.seen
    assert model.is_within(genotype, {"first": 5.0, "calls": calls, "second": 5.0})
    assert not model.is_within(genotype, {"first": 5.0, "second": 4.0})
    assert len(first.seen) == 1
    assert first.seen == second.seen  # the same network
    with pytest.raises(KeyError, match="heat"):
        model.is_within(genotype, {"heat": 1.0})


def test_without_a_list_of_layers_networks_are_built():
    class Opaque(Toy):
        layer_list = SearchSpace.layer_list

    model = CostModel(Opaque(cells=3), SHAPE, {"calls": Calls(), "built": Built()})
    assert not model.knows_paths("calls")
    assert model.knows_paths("params")


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
