from __future__ import annotations

from random import Random

import attrs
import pytest
import torch

from nasplug.builtin.compact.space import Compact
from nasplug.builtin.darts import Darts
from nasplug.builtin.mbconv.space import MBConvSpace
from nasplug.builtin.nb201.genotype import PLACES, write_genotype
from nasplug.builtin.nb201.space import NasBench201
from nasplug.engine.parameterless import ParameterlessOperations
from nasplug.parts import Choices
from nasplug.values import Genotype, ImageShape

SHAPE = ImageShape(channels=1, size=8, classes=4)
FREE = ("skip_connect", "none", "avg_pool_3x3")


@attrs.define
class Unlisted(NasBench201):
    """Does not say which layers its networks have."""

    def layer_list(self, genotype, shape):
        return None


@pytest.mark.parametrize("space", [NasBench201(channels=2, cells=1), Unlisted(channels=2, cells=1)])
def test_the_share_counts_operations_without_parameters(space):
    operations = ParameterlessOperations(space, SHAPE)
    generator = Random(0)
    for count in range(len(PLACES) + 1):
        picks = [*generator.choices(FREE, k=count), *["nor_conv_3x3"] * (len(PLACES) - count)]
        generator.shuffle(picks)
        # Three of the five candidates of an edge have none.
        assert operations.share(write_genotype(picks)) == pytest.approx((count / 6, 3 / 5))


def test_a_skip_connection_that_halves_the_map_has_parameters():
    operations = ("skip_connect", "sep_conv_3x3", "max_pool_3x3", "none")
    space = Darts(operations=operations, cells=3, channels=2, nodes=1)
    choices = Choices(space.choice_list())
    found = ParameterlessOperations(space, SHAPE)

    def share(column):
        return found.share(space.decode(choices, torch.eye(4)[column].expand(len(choices), 4)))

    # Skip and pool have none on the two edges of a normal cell, on those of a reduction cell only the pool.
    expected = (2 * 2 / 3 + 2 * 1 / 3) / 4
    assert share(0) == pytest.approx((2 / 4, expected))
    assert share(1) == pytest.approx((0, expected))
    assert share(2) == pytest.approx((1, expected))


def test_several_operations_of_a_choice_are_counted_one_by_one():
    space = Darts(operations=("nadd3",), choices="node", topology="per-cell", cells=3, channels=2, nodes=2)
    choices = Choices(space.choice_list())
    dense = space.decode(choices, choices.weights())
    # Of three cells two halve the map on the edges from their inputs. Their first node has no others, so that every
    # operation there has parameters, and the second has one more edge with two convolutions and a skip connection.
    expected = (2 + 3 + 2 * 1) / (6 + 9 + 2 * 9)
    assert ParameterlessOperations(space, SHAPE).share(dense) == pytest.approx((expected, expected))


def test_widths_are_no_operations():
    space = Compact(stages=("s1 3x4",), multipliers=(0.5, 1.0), operations=("conv3", "skip"))
    picks = {"0/width": ("4s1",), "0/1": ("conv3",), "0/2": ("skip",), "0/3": ("conv3",)}
    found = ParameterlessOperations(space, SHAPE).share(Genotype("compact", picks))
    assert found == pytest.approx((1 / 3, 1 / 2))


def test_a_space_without_such_operations_has_no_share():
    space = MBConvSpace(blocks=("s1 1x16 2x16", "s2 2x24"))
    assert ParameterlessOperations(space, SHAPE).share(space.random(Random(0))) is None
    convolutions = NasBench201(operations=("nor_conv_1x1", "nor_conv_3x3"), channels=2, cells=1)
    assert ParameterlessOperations(convolutions, SHAPE).share(convolutions.random(Random(0))) is None


@pytest.mark.parametrize(
    "space",
    [
        NasBench201(channels=2, cells=1),
        Darts(cells=3, channels=2, nodes=2),
        Compact(stages=("s1 2x4", "s2 2x8"), multipliers=(1.0,)),
    ],
)
def test_another_operation_without_parameters_costs_as_little(space):
    """Exchanging picks one by one: the cheapest of a choice that counts are those found."""
    choices, operations = Choices(space.choice_list()), ParameterlessOperations(space, SHAPE)
    genotype = space.random(Random(3))
    operations.share(genotype)
    held, compared = space.encode(genotype, choices), 0
    for row, offer in operations._offers.items():
        params = {}
        for column in range(len(choices.choices[row].candidates)):
            only = held.clone()
            only[row] = torch.arange(held.shape[1]) == column
            with choices.only(only):
                other = space.decode(choices, only.float())
            if torch.equal(space.encode(other, choices), only):
                params[column] = space.cost(other, SHAPE).params
        assert len(params) == offer.candidates
        if offer.counts:
            compared += 1
            least = min(params.values())
            assert offer.parameterless == {column for column, count in params.items() if count == least}
    assert compared > 0


@pytest.mark.parametrize("choices", ["node", "edge"])
def test_a_share_does_not_depend_on_the_architectures_before_it(choices):
    space = Darts(operations=("darts7",), cells=3, channels=2, nodes=2, choices=choices)
    first, second = (space.random(Random(seed)) for seed in (5, 6))
    alone, after = ParameterlessOperations(space, SHAPE), ParameterlessOperations(space, SHAPE)
    after.share(second)
    assert after.share(first) == alone.share(first)
