"""What splits have in common, against the plainest way to find it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nasplug.data.duplicates import Duplicates
from nasplug.data.in_memory import to_image_data
from nasplug.data.splits import Splits
from nasplug.data.survey import survey

SPLITS = ("train", "validation", "test")


def find(contents, splits, tests=None, closely=False):
    def data_of(contents):
        return torch.stack([IMAGES[content] for content in contents]), [0, 1] * (len(contents) // 2)

    data = to_image_data((data_of(contents), data_of(tests)) if tests else data_of(contents))
    parts = Splits(*(np.array(part, np.int64) for part in splits), "test" if tests else "train")
    test = None if data.test is None else survey(data.test, with_thumbnails=True)
    return Duplicates.find(data, parts, survey(data.train, with_thumbnails=True), test, closely=closely)


GENERATOR = torch.Generator().manual_seed(0)
ORIGINALS = torch.randint(0, 240, (8, 1, 32, 32), dtype=torch.uint8, generator=GENERATOR)
IMAGES = torch.cat([ORIGINALS, ORIGINALS + 5])
"""Each image and, eight further on, one that is nearly equal to it."""


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 15), min_size=18, max_size=18), st.integers(0, 1000))
def test_overlaps_are_those_of_comparing_every_two_images(contents, seed):
    order = np.random.default_rng(seed).permutation(18)
    splits = [np.sort(part) for part in np.split(order, [8, 12])]
    duplicates = find(contents, splits, closely=True)
    members = dict(zip(SPLITS, splits, strict=True))
    for overlap in duplicates.overlaps():
        first, second = members[overlap.first].tolist(), members[overlap.second].tolist()
        equal, near = [], []
        for index in second:
            before = [other for other in first if overlap.first != overlap.second or other < index]
            same = [other for other in before if contents[other] == contents[index]]
            alike = [other for other in before if contents[other] % 8 == contents[index] % 8]
            if same:
                equal.append((index, same[0]))
            elif alike:
                near.append((index, alike[0]))
        assert (list(overlap.equal), list(overlap.near)) == (equal, near)


def test_test_images_of_their_own_are_numbered_after_those_for_training():
    duplicates = find([0, 1, 2, 3], [[0, 1], [2, 3], [0, 1]], tests=[9, 1])
    assert duplicates.overlap("train", "test").equal == ((5, 1),)
    assert duplicates.describe(duplicates.overlap("train", "test").equal, "equal to") == (
        "number 1 of the test images, equal to number 1"
    )
    assert duplicates.near is None
    near = find([0, 1, 2, 3], [[0, 1], [2, 3], [0, 1]], tests=[9, 1], closely=True).overlap("train", "test")
    assert (near.equal, near.near) == (((5, 1),), ((4, 1),))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_few_of_the_copies_are_named(count):
    duplicates = find([0] * 6, [range(5), [], [5]])
    copies = [(index, 0) for index in range(1, count + 1)]
    assert duplicates.describe(copies, "equal to", most=2).count("equal to number 0") == min(count, 2)
