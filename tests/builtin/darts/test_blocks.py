from __future__ import annotations

from random import Random

import pytest
import torch

from nasplug.builtin.darts import Darts
from nasplug.parts import Choices
from nasplug.values import Genotype, ImageShape

SHAPE = ImageShape(1, 8, 5)
PER_CELL = {"topology": "per-cell", "operations": ("nadd3",)}
SPACES = {
    "one cell a block": {**PER_CELL, "cells": 3, "nodes": 2},
    "more cells, node choices": {**PER_CELL, "cells": 5, "nodes": 2, "choices": "node"},
    "two cells": {**PER_CELL, "cells": 2, "nodes": 2},
    "shared cells": {"cells": 4, "nodes": 2},
}


def build(name: str):
    torch.manual_seed(0)
    space = Darts(channels=4, **SPACES[name])
    net = space.supernet(SHAPE).double()
    with torch.no_grad():
        net.choices.alpha.normal_()
    return space, net


@pytest.mark.parametrize("name", SPACES)
def test_layers_one_after_the_other_are_the_network(name):
    _, net = build(name)
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(net.whole()((images,)), net(images))


@pytest.mark.parametrize("name", SPACES)
def test_a_block_is_what_lies_between_two_taps(name):
    space, net = build(name)
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    taps, blocks = net.outputs(images).taps, net.blocks()
    assert len(blocks) == len(taps) == space.taps()
    torch.testing.assert_close(blocks[0]((images,)), taps[0])
    for block, tap in zip(blocks, taps, strict=True):
        assert (block.output.channels, block.output.size) == tuple(tap.shape[1:3])


def test_a_later_block_reads_maps_of_its_input_shapes():
    _, net = build("one cell a block")
    for block in net.blocks()[1:]:
        maps = [torch.randn(2, each.channels, each.size, each.size, dtype=torch.float64) for each in block.inputs]
        assert len(maps) == 2
        assert block(maps).shape == (2, block.output.channels, block.output.size, block.output.size)


def test_the_last_block_computes_what_the_network_computes_from_the_same_maps():
    _, net = build("one cell a block")
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    taps = net.outputs(images).taps
    torch.testing.assert_close(net.blocks()[2]((taps[0], taps[1])), taps[2])


def test_blocks_share_no_weights_and_own_all_but_the_classifier():
    _, net = build("more cells, node choices")
    owned = [id(parameter) for block in net.blocks() for parameter in block.parameters()]
    assert len(owned) == len(set(owned))
    rest = {name for name, parameter in net.named_parameters() if id(parameter) not in owned}
    assert rest == {"choices.alpha", "classifier.weight", "classifier.bias"}


def test_shared_choices_name_every_block_that_they_affect():
    blocks = {choice.name.partition("/")[0]: choice.blocks for choice in Darts(cells=8).choice_list()}
    assert blocks == {"normal": (0, 1, 2), "reduce": (1, 2)}
    own = Darts(cells=8, topology="per-cell").choice_list()
    assert {choice.name.partition("/")[0]: choice.blocks for choice in own} == {
        "0": (0,), "1": (0,), "2": (1,), "3": (1,), "4": (1,), "5": (2,), "6": (2,), "7": (2,)
    }  # fmt: skip


@pytest.mark.parametrize("name", SPACES)
def test_encode_undoes_decode(name):
    space, _ = build(name)
    choices = Choices(space.choice_list())
    for seed in range(20):
        genotype = space.random(Random(seed))
        mask = space.encode(genotype, choices)
        with choices.only(mask):
            assert space.decode(choices, choices.weights().detach()) == genotype


def test_a_path_is_encoded_in_its_own_rows_alone():
    space, _ = build("one cell a block")
    choices = Choices(space.choice_list())
    path = space.paths(1).sample(Random(0))
    mask = space.encode(path, choices)
    rows = choices.rows_of((1,))
    assert mask[rows].sum() == 4
    assert torch.equal(mask[~rows], choices.valid_mask[~rows])


@pytest.mark.parametrize("choices", ["edge", "node"])
def test_paths_are_all_there_are(choices):
    space = Darts(**PER_CELL, cells=3, nodes=2, choices=choices)
    if choices == "node":
        space = Darts(topology="per-cell", operations=("skip_connect",), cells=4, nodes=2, choices=choices)
    paths = space.paths(1)
    every = list(paths.enumerate())
    assert len(every) == len(set(every)) == paths.count
    assert {paths.sample(Random(seed)) for seed in range(50)} <= set(every)
    assert sorted(path.to_json() for path in paths.select(paths.count, Random(0))) == sorted(p.to_json() for p in every)
    few = list(paths.select(5, Random(0)))
    assert len(set(few)) == 5
    assert few == list(paths.select(5, Random(0)))


def test_costs_of_paths_add_up_to_that_of_a_network_that_needs_all_its_cells():
    space = Darts(**PER_CELL, cells=5, nodes=2, channels=4)
    equal = 0
    for seed in range(40):
        generator = Random(seed)
        paths = [space.paths(block).sample(generator) for block in range(3)]
        genotype = Genotype.join(paths)
        whole = space.cost(genotype, SHAPE)
        parts = [space.path_cost(block, path, None, SHAPE) for block, path in enumerate(paths)]
        total = (sum(part.params for part in parts), sum(part.macs for part in parts))
        assert total[0] >= whole.params
        assert total[1] >= whole.macs
        equal += total == (whole.params, whole.macs)
    assert equal > 0
