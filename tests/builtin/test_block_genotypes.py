from __future__ import annotations

import pytest
import torch

from nasplug.builtin.block_genotypes import check_numbers, encode_picks, read_picks, strongest_columns
from nasplug.errors import InputError
from nasplug.parts import Choice, Choices
from nasplug.values import Genotype

CHOICES = (
    Choice("0/cell", ("a", "b"), blocks=(0,)),
    Choice("0/b/1", ("x", "y", "z"), blocks=(0,), parent=("0/cell", "b")),
    Choice("1/1", ("x", "y", "z"), blocks=(1,)),
)


def test_picks_are_read_by_block():
    genotype = Genotype("mine", {"0/cell": ["a"], "10/1": ["x"], "0/1": ["y"]})
    assert read_picks(genotype, "mine", "B/N") == {0: {"0/cell": "a", "0/1": "y"}, 10: {"10/1": "x"}}


@pytest.mark.parametrize(
    ("space", "picks", "words"),
    [
        ("other", {"0/1": ["x"]}, "belongs to the space 'other', not to 'mine'"),
        ("mine", {"first": ["x"]}, "A place is written B/N, but 'first' is not"),
        ("mine", {"1000/1": ["x"]}, "A place is written B/N"),
        ("mine", {"0/1": ["x", "y"]}, "exactly one candidate"),
    ],
)
def test_other_genotypes_are_refused(space, picks, words):
    with pytest.raises(InputError, match=words):
        read_picks(Genotype(space, picks), "mine", "B/N")


@pytest.mark.parametrize(("blocks", "words"), [({}, "has none"), ({1: "", 0: ""}, "1, 0"), ({0: "", 2: ""}, "0, 2")])
def test_blocks_are_numbered_in_order(blocks, words):
    check_numbers({0: "", 1: ""}, "stages")
    with pytest.raises(InputError, match=f"The stages of a genotype are numbered from 0.*{words}"):
        check_numbers(blocks, "stages")


def test_choices_without_a_pick_hold_none_and_other_blocks_all():
    mask = encode_picks({0: {"0/cell": "a"}}, Choices(CHOICES))
    assert mask.tolist() == [[True, False, False], [False] * 3, [True] * 3]


def test_the_strongest_active_column_is_found_and_the_first_of_equal_ones():
    choices = Choices(CHOICES)
    weights = torch.tensor([[1.0, 1.0, 9.0], [0.0, 3.0, 2.0], [0.0, 0.0, 0.0]])
    choices.delete(torch.tensor([[False] * 3, [False, True, False], [True, False, False]]))
    assert strongest_columns(choices, weights) == {"0/cell": 0, "0/b/1": 2, "1/1": 1}
