from __future__ import annotations

from random import Random

import pytest
import torch

from nasplug.builtin.mbconv import MBConvSpace
from nasplug.parts import Choices
from nasplug.values import Genotype


def test_a_block_of_one_cell_leaves_only_its_operations_open(space):
    choices = {choice.name: choice for choice in space.choice_list()}
    assert list(choices) == [
        *("0/cell", "0/1x4s1/1", "0/2x6s1/1", "0/2x6s1/2"),
        *("1/cell", "1/1x6s2/1", "1/3x4s2/1", "1/3x4s2/2", "1/3x4s2/3"),
        *("2/2x4s2/1", "2/2x4s2/2"),
    ]
    assert choices["0/cell"].candidates == ("1x4s1", "2x6s1")
    assert choices["0/2x6s1/2"].candidates == ("k3e2", "k5e2", "k3e3", "k5e3")
    assert choices["0/2x6s1/2"].parent == ("0/cell", "2x6s1")
    assert choices["2/2x4s2/1"].parent is None
    assert all(
        (choice.at_least, choice.at_most, choice.blocks) == (1, 1, (int(name[0]),)) for name, choice in choices.items()
    )


@pytest.mark.parametrize("blocks", [None, ("dna",), ("dna-single",), ("small",)])
def test_decoding_is_the_inverse_of_encoding(space, blocks):
    space = space if blocks is None else MBConvSpace(blocks=blocks)
    choices, generator = Choices(space.choice_list()), Random(2)
    torch.nn.init.normal_(choices.alpha)
    for _ in range(30):
        genotype = space.random(generator)
        mask = space.encode(genotype, choices)
        assert int(mask.sum()) == sum("cell" not in place for place in genotype.places) + sum(
            f"{block}/cell" in choices.rows for block in range(space.taps())
        )
        with choices.only(mask):
            assert space.decode(choices, choices.weights()) == genotype
        # A genotype that weighs most is decoded too, whatever else is kept.
        assert space.decode(choices, torch.where(mask, 0.6, 0.2)) == genotype


def test_a_path_leaves_other_blocks_as_they_are(space):
    choices = Choices(space.choice_list())
    path = Genotype("mbconv", {"1/cell": ["1x6s2"], "1/1": ["k5e2"]})
    mask = space.encode(path, choices)
    for name, row in choices.rows.items():
        if name.startswith("1/"):
            held = {"1/cell": [0], "1/1x6s2/1": [1]}.get(name, [])
            assert mask[row].nonzero()[:, 0].tolist() == held
        else:
            assert torch.equal(mask[row], choices.valid_mask[row])


def test_decode_takes_the_strongest_kept_cell_and_operation_and_the_first_of_equals(space):
    choices = Choices(space.choice_list())
    weights = torch.zeros_like(choices.alpha)
    assert [names for _, names in space.decode(choices, weights).picks] == [
        *(("1x4s1",), ("k3e2",)),
        *(("1x6s2",), ("k3e2",)),
        *(("2x4s2",), ("k3e2",), ("k3e2",)),
    ]
    weights[choices.rows["1/cell"], 1] = 0.3
    weights[choices.rows["1/3x4s2/2"], 3] = 0.1
    weights[choices.rows["2/2x4s2/2"]] = torch.tensor([0.4, 0.1, 0.3, 0.2])
    deleted = torch.zeros_like(choices.kept)
    deleted[choices.rows["2/2x4s2/2"], 0] = True
    choices.delete(deleted)
    genotype = space.decode(choices, weights)
    assert genotype["1/cell"] == ("3x4s2",)
    assert [genotype[f"1/{layer}"] for layer in (1, 2, 3)] == [("k3e2",), ("k5e3",), ("k3e2",)]
    assert genotype["2/2"] == ("k3e3",)
    space.check(genotype)
