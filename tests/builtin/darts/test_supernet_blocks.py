from __future__ import annotations

import pytest
import torch

from nasplug.builtin.darts import Darts
from nasplug.values import ImageShape

SHAPE = ImageShape(1, 8, 5)
PER_CELL = {"topology": "per-cell", "operations": ("nadd3",)}
SPACES = {
    "one cell a block": {**PER_CELL, "cells": 3, "nodes": 2},
    "more cells, node choices": {**PER_CELL, "cells": 5, "nodes": 2, "choices": "node"},
    "two cells": {**PER_CELL, "cells": 2, "nodes": 2},
    "shared cells": {"cells": 4, "nodes": 2},
}


def build(name: str):
    """A space and its supernet in float64 with random alpha."""
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
        maps = [torch.randn(2, shape.channels, shape.size, shape.size, dtype=torch.float64) for shape in block.inputs]
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
