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
from nasplug.values import Costs, Genotype, ImageShape
from tests.builtin.mixtures import sample_paths

PUBLISHED = json.loads((Path(__file__).parent / "published.json").read_text())
IMAGENET = ImageShape(3, 224, 1000)


class Counter(TorchFunctionMode):
    """Multiply-accumulates counted by watching every convolution and matrix product."""

    def __init__(self):
        super().__init__()
        self.macs = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        output = function(*args, **(kwargs or {}))
        if function in (F.conv2d, F.linear):
            self.macs += output.numel() * args[1][0].numel()
        return output


def normed_elements(network):
    """The elements that all batch norms of a network give for an image of 224 pixels."""
    elements = (32 + 32 + 16) * 112**2 + 1280 * 7**2
    for layer in chain.from_iterable(network.blocks):
        layout = layer.layout
        elements += layer.channels * (layout.size**2 + layout.out_size**2) + layout.out_channels * layout.out_size**2
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
    assert MBConvSpace().cost(Genotype("mbconv", picks), IMAGENET) == Costs(params=5_273_896, macs=450_138_976)


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
        assert space.cost(genotype, shape) == Costs(
            params=sum(parameter.numel() for parameter in network.parameters()),
            macs=counter.macs,
        )


@pytest.mark.parametrize(
    ("options", "shape"), [({"blocks": ("dna",)}, IMAGENET), ({"channels": 20}, ImageShape(1, 9, 3))]
)
def test_costs_of_paths_add_up_exactly_and_depend_on_the_block_before_by_its_interface_alone(options, shape):
    space, generator = MBConvSpace(**options), Random(1)
    for _ in range(200):
        paths = sample_paths(space, generator)
        costs = [space.path_cost(*each, shape) for each in paths]
        whole = space.cost(Genotype.join(path for _, path, _ in paths), shape)
        assert whole == Costs.total(costs)
