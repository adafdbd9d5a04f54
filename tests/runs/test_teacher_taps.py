"""Which maps of a teacher stand against the taps of a supernet."""

from __future__ import annotations

import pytest

from nasplug.engine.trunk import TrunkMap
from nasplug.errors import InputError
from nasplug.runs.teacher_taps import choose_maps

MAPS = [
    TrunkMap(name, 0, size) for name, size in (("a", 16), ("b", 16), ("c", 8), ("d", 4), ("e", 4), ("f", 4), ("g", 1))
]


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [
        ((16, 8, 4), "bcf"),
        ((16, 8, 4, 2, 1), "bcdfg"),  # two of the three of size 4
        ((16,), "b"),
        ((10, 8), "bc"),  # the next larger one
        ((4, 4), "df"),
        ((4, 4, 4), "def"),
        ((16, 16, 2), "abf"),
        ((3, 2, 1), "dfg"),
    ],
)
def test_a_map_of_the_size_or_the_next_larger_one_the_last_of_equal_shares(sizes, chosen):
    assert "".join(each.module for each in choose_maps(MAPS, sizes, 32)) == chosen


@pytest.mark.parametrize(("sizes", "remedy"), [((32, 8), 64), ((60,), 128), ((8, 8), 64), ((4, 4, 4, 4), 64)])
def test_too_few_maps_are_refused_with_those_there_are(sizes, remedy):
    found = r"2 of 16x16, 1 of 8x8, 3 of 4x4, 1 of 1x1"
    with pytest.raises(InputError, match=rf"{found}\); try larger images \(.*teacher_resolution={remedy}\) or another"):
        choose_maps(MAPS, sizes, 32)
    with pytest.raises(InputError, match=r"\(none\); try another teacher"):
        choose_maps([], sizes, 32)
