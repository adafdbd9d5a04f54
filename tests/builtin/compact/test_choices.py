from __future__ import annotations

from random import Random

import pytest
import torch

from nasplug.builtin.compact import Compact
from nasplug.parts import Choices

SPACE = Compact(stages=("s1 2x8", "s2 2x16"), multipliers=(0.5, 1.0), operations=("conv3", "pool", "skip"))


def test_every_stage_has_a_choice_of_width_and_every_layer_one_of_operation():
    choices = SPACE.choice_list()
    assert [(choice.name, choice.candidates, choice.blocks) for choice in choices] == [
        ("0/width", ("4s1", "8s1"), (0,)),
        ("0/1", ("conv3", "pool", "skip"), (0,)),
        ("0/2", ("conv3", "pool", "skip"), (0,)),
        ("1/width", ("8s2", "16s2"), (1,)),
        ("1/1", ("conv3", "pool"), (1,)),
        ("1/2", ("conv3", "pool", "skip"), (1,)),
    ]
    assert all(choice.at_least == choice.at_most == 1 for choice in choices)


def test_a_first_stage_that_halves_its_maps_leaves_no_first_layer_out():
    first = Compact(stages=("s2 2x8",), multipliers=(1.0,), operations=("pool", "skip")).choice_list()
    assert [(choice.name, choice.candidates) for choice in first] == [("0/1", ("pool",)), ("0/2", ("pool", "skip"))]


@pytest.mark.parametrize("multipliers", [(0.5, 1.0), (1.0,)])
def test_decode_and_encode_are_inverse(multipliers):
    space = Compact(stages=SPACE.stages, multipliers=multipliers, operations=SPACE.operations)
    choices = Choices(space.choice_list())
    every = list(space.paths(None).enumerate())
    assert len(set(every)) == len(every) == space.paths(None).count == 3 * 3 * 2 * 3 * len(multipliers) ** 2
    for genotype in every:
        mask = space.encode(genotype, choices)
        assert (mask.sum(1) == 1).all()
        with choices.only(mask):
            assert space.decode(choices, mask.double()) == genotype
        assert space.decode(choices, mask.double()) == genotype


def test_a_path_through_one_stage_leaves_the_others_open():
    choices = Choices(SPACE.choice_list())
    mask = SPACE.encode(SPACE.paths(1).sample(Random(0)), choices)
    assert torch.equal(mask[:3], choices.valid_mask[:3])
    assert (mask[3:].sum(1) == 1).all()


def test_decode_takes_the_strongest_active_candidate_and_the_first_of_equal_ones():
    choices = Choices(SPACE.choice_list())
    weights = torch.tensor([[2, 3, 0], [1, 1, 1], [1, 3, 2], [5, 4, 0], [0, 7, 0], [0, 1, 2]], dtype=torch.float64)
    assert SPACE.decode(choices, weights) == SPACE.parse("8s1 conv3 pool | 8s2 pool skip")
    choices.delete(torch.tensor([[False, True, False]] * 3 + [[True, False, False]] * 3))
    assert SPACE.decode(choices, weights) == SPACE.parse("4s1 conv3 skip | 16s2 pool skip")
