"""Cells in which a node holds the same candidate twice, such as NASNet's."""

from __future__ import annotations

from random import Random

import pytest
import torch

from nasplug.builtin.darts import Darts
from nasplug.builtin.darts.genotype import OPERATIONS, read_genotype
from nasplug.values import Genotype, ImageShape

NASNET = """NASNet = Genotype(
  normal = [
    ('sep_conv_5x5', 1), ('sep_conv_3x3', 0),
    ('sep_conv_5x5', 0), ('sep_conv_3x3', 0),
    ('avg_pool_3x3', 1), ('skip_connect', 0),
    ('avg_pool_3x3', 0), ('avg_pool_3x3', 0),
    ('sep_conv_3x3', 1), ('skip_connect', 1),
  ],
  normal_concat = [2, 3, 4, 5, 6],
  reduce = [
    ('sep_conv_5x5', 1), ('sep_conv_7x7', 0),
    ('max_pool_3x3', 1), ('sep_conv_7x7', 0),
    ('avg_pool_3x3', 1), ('sep_conv_5x5', 0),
    ('skip_connect', 3), ('avg_pool_3x3', 2),
    ('sep_conv_3x3', 2), ('max_pool_3x3', 1),
  ],
  reduce_concat = [4, 5, 6],
)"""
"""As DARTS's code has it (cnn/genotypes.py)."""
SHAPE = ImageShape(3, 32, 10)
SPACE = Darts(operations=OPERATIONS, nodes=5, cells=6, channels=8)


def separable(kernel: int, channels: int) -> int:
    """The parameters of a separable convolution, applied twice with an affine batch norm each time."""
    return 2 * (kernel**2 * channels + channels**2 + 2 * channels)


def test_nasnet_is_read_checked_built_and_costed_from_both_notations():
    genotype = SPACE.parse(NASNET)
    assert genotype["normal/5"] == ("avg_pool_3x3@0", "avg_pool_3x3@0")
    assert genotype["reduce/concat"] == ("4", "5", "6")
    assert SPACE.parse(genotype.to_json()) == genotype
    SPACE.check(genotype)
    assert len([edge for edge in SPACE.drawings(genotype)[0].edges if edge.operation == "avg_pool_3x3"]) == 3
    network = SPACE.network(genotype, SHAPE)
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 10)
    cost = SPACE.cost(genotype, SHAPE)
    assert cost.params == sum(parameter.numel() for parameter in network.parameters())

    widths, total, older, newer = (8, 8, 16, 16, 32, 32), 9 * 3 * 24 + 2 * 24, 24, 24
    for cell, width in enumerate(widths):
        total += older * width + 2 * width + newer * width + 2 * width
        if cell in (2, 4):
            total += 2 * separable(5, width) + 2 * separable(7, width) + separable(3, width)
        else:
            total += 2 * separable(5, width) + 3 * separable(3, width)
        older, newer = newer, (3 if cell in (2, 4) else 5) * width
    assert cost.params == total + newer * 10 + 10


def test_a_candidate_that_is_held_twice_has_weights_of_its_own_each_time():
    space = Darts(cells=1, nodes=1, channels=4)
    once = Genotype("darts", {f"{cell}/2": ["sep_conv_3x3@0", "skip_connect@1"] for cell in ("normal", "reduce")})
    twice = Genotype("darts", {f"{cell}/2": ["sep_conv_3x3@0", "sep_conv_3x3@0"] for cell in ("normal", "reduce")})
    network = space.network(twice, SHAPE).eval()
    first, second = network.cells["0"].operations.values()
    assert list(network.cells["0"].operations) == ["sep_conv_3x3@0>2", "sep_conv_3x3@0>2#2"]
    assert not torch.equal(first[0][1].weight, second[0][1].weight)
    images = torch.randn(2, 3, 32, 32)
    x = network.cells["0"].preprocess["0"](network.stem(images)[0])
    torch.testing.assert_close(network.outputs(images).taps[0], first(x) + second(x))
    extra = space.cost(twice, SHAPE).params - space.cost(once, SHAPE).params
    assert extra == separable(3, 4) - (12 * 4 + 2 * 4)  # input 1 is no longer preprocessed


@pytest.mark.parametrize("choices", ["edge", "node"])
def test_a_mutation_changes_one_of_two_equal_candidates(choices):
    operations = ("sep_conv_3x3", "skip_connect")
    space = Darts(operations=operations, choices=choices, nodes=1, cells=1, topology="per-cell", channels=4)
    twice = Genotype("darts", {"0/2": ["sep_conv_3x3@0", "sep_conv_3x3@0"]})
    for seed in range(40):
        mutated = space.mutate(twice, Random(seed))
        space.check(mutated)
        (node,) = read_genotype(mutated)["0"].nodes
        assert [str(pick) for pick in node].count("sep_conv_3x3@0") == (1 if len(node) < 3 else 2)
