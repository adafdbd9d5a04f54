from __future__ import annotations

import pytest

from nasplug.builtin.mbconv import MBConvSpace
from nasplug.errors import InputError
from nasplug.values import Genotype


@pytest.mark.parametrize(
    ("picks", "words"),
    [
        ({}, "numbered from 0 in order; this one has none"),
        ({"1/cell": ["1x4s1"], "1/1": ["k3e6"]}, "this one has 1"),
        ({"0/cell": ["2x4s1"], "0/1": ["k3e6"]}, "needs 0/cell, 0/1, 0/2"),
        ({"0/1": ["k3e6"], "0/cell": ["1x4s1"]}, "in this order"),
        ({"0/1": ["k3e6"]}, "lacks the place '0/cell'"),
        ({"0/cell": ["01x4s1"]}, "a cell is written"),
        ({"0/cell": ["1x4"]}, "a cell is written"),
        ({"0/cell": ["1x4s1"], "0/1": ["k4e6"]}, "odd kernel"),
        ({"0/cell": ["1x4s1"], "0/1": ["skip"]}, "an operation is written"),
        ({"0/cell": ["1x4s1"], "0/1": ["k3e6", "k3e3"]}, "exactly one candidate"),
        ({"0/cell": []}, "here it is nothing"),
        ({"first/cell": ["1x4s1"]}, "written block/cell"),
    ],
)
def test_malformed_genotypes_are_refused_in_a_sentence(picks, words):
    with pytest.raises(InputError, match=words):
        MBConvSpace().parse(Genotype("mbconv", picks).to_json())


def test_genotypes_of_other_spaces_are_refused(space):
    with pytest.raises(InputError, match="belongs to the space 'darts'"):
        space.check(Genotype("darts", {"normal/2": ["skip_connect@0"]}))
