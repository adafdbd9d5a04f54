from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from random import Random

import pytest
import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from nasplug.builtin.mbconv import MBConvSpace
from nasplug.builtin.mbconv.plan import Widths
from nasplug.values import Cost, Genotype, ImageShape

PUBLISHED = json.loads((Path(__file__).parent / "published.json").read_text())
IMAGENET = ImageShape(3, 224, 1000)


class Counter(TorchFunctionMode):
    """Multiply-accumulates counted by watching every convolution and matrix product."""

    def __init__(self):
        super().__init__()
        self.macs = 0

    def __torch_function__(self, function, types, arguments=(), named=None):
        output = function(*arguments, **(named or {}))
        if function in (F.conv2d, F.linear):
            self.macs += output.numel() * arguments[1][0].numel()
        return output


def normed_elements(network):
    """The elements that all batch norms of a network give for an image of 224 pixels."""
    elements = (32 + 32 + 16) * 112**2 + 1280 * 7**2
    for layer in chain.from_iterable(network.blocks):
        plan = layer.plan
        elements += layer.channels * (plan.size**2 + plan.out_size**2) + plan.outside * plan.out_size**2
    return elements


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_cost_what_they_should(name):
    """Params to the unit; multiply-accumulates, with two more per element of a batch norm, as the papers round them."""
    space, facts = MBConvSpace(), PUBLISHED[name]
    genotype = space.parse(json.dumps(facts["strings"]))
    cost = space.cost(genotype, IMAGENET)
    assert cost.params == facts["params"]
    network = space.network(genotype, IMAGENET)
    assert sum(parameter.numel() for parameter in network.parameters()) == facts["params"]
    assert round((cost.macs + 2 * normed_elements(network)) / 1e6) == facts["published"]


def test_the_published_networks_of_dna_are_in_its_space():
    space = MBConvSpace(blocks=("dna",))
    for name in ("DNA-a", "DNA-c", "DNA-d"):
        space.check(space.parse(json.dumps(PUBLISHED[name]["strings"])))


def test_dna_c_without_published_strings():
    operations = (
        "k5e6 k3e6 | k5e6 k5e6 k3e6 k5e6 | k5e6 k3e6 k5e6 k5e6 | k3e6 k5e6 k5e6 k5e3 | k5e6 k5e3 k5e6 k5e6 | k3e6"
    )
    cells = ("2x24s2", "4x40s2", "4x80s2", "4x112s1", "4x192s2", "1x320s1")
    picks = {}
    for block, (cell, line) in enumerate(zip(cells, operations.split("|"), strict=True)):
        picks[f"{block}/cell"] = [cell]
        picks |= {f"{block}/{layer}": [name] for layer, name in enumerate(line.split(), 1)}
    assert MBConvSpace().cost(Genotype("mbconv", picks), IMAGENET) == Cost(params=5_273_896, macs=450_138_976)


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, ImageShape(1, 16, 3)),
        ({"channels": 10}, ImageShape(3, 13, 7)),
        ({"channels": 3, "head": 5}, ImageShape(3, 32, 2)),
        ({"stem": "imagenet", "channels": 48}, ImageShape(3, 27, 2)),
        ({"blocks": ("s2 2x8 1x12", "s1 1x12"), "kernels": (3,), "expansions": (1, 4)}, ImageShape(3, 64, 2)),
    ],
)
def test_counted_cost_is_that_of_the_built_network(options, shape):
    space, generator = MBConvSpace(**options), Random(0)
    for _ in range(3):
        genotype = space.random(generator)
        network = space.network(genotype, shape)
        with Counter() as counter:
            network.eval()(torch.zeros(1, shape.channels, shape.size, shape.size))
        assert space.cost(genotype, shape) == Cost(
            params=sum(parameter.numel() for parameter in network.parameters()),
            macs=counter.macs,
        )


@pytest.mark.parametrize(
    ("options", "shape"), [({"blocks": ("dna",)}, IMAGENET), ({"channels": 20}, ImageShape(1, 9, 3))]
)
def test_costs_of_paths_add_up_exactly_and_depend_on_the_block_before_by_its_interface_alone(options, shape):
    space, generator = MBConvSpace(**options), Random(1)
    blocks = range(space.taps())
    for _ in range(200):
        parts = [space.paths(block).sample(generator) for block in blocks]
        stand_ins = [space.paths(block).sample(generator) for block in blocks]
        befores = [
            other if space.interface(block, other) == space.interface(block, part) else part
            for block, part, other in zip(blocks, parts, stand_ins, strict=True)
        ]
        costs = [
            space.path_cost(block, part, befores[block - 1] if block else None, shape)
            for block, part in zip(blocks, parts, strict=True)
        ]
        whole = space.cost(Genotype.join(parts), shape)
        assert whole == Cost(params=sum(each.params for each in costs), macs=sum(each.macs for each in costs))


def test_widths_are_those_listed_at_32_channels_and_in_proportion_otherwise():
    listed = (16, 24, 40, 112, 320)
    assert [Widths(32, None)(width) for width in (7, *listed)] == [7, *listed]
    assert [Widths(16, None)(width) for width in listed] == [8, 12, 20, 56, 160]
    assert [Widths(4, None)(width) for width in listed] == [2, 3, 5, 14, 40]
    assert [Widths(64, None)(width) for width in listed] == [32, 48, 80, 224, 640]
    assert [Widths(2, None)(width) for width in (1, 16)] == [1, 1]
    for channels in range(2, 80):
        widths = Widths(channels, None)
        scaled = [widths(width) for width in range(1, 330)]
        assert scaled == sorted(scaled)
        assert all(abs(one - width * channels / 32) <= 4 for width, one in enumerate(scaled, 1))


def test_the_head_is_four_times_the_last_width_up_to_1280_or_as_asked():
    assert [Widths(channels, None).of_head(320) for channels in (16, 32, 64)] == [640, 1280, 1280]
    assert Widths(16, None).of_head(40) == 80
    assert Widths(16, 99).of_head(40) == 99
