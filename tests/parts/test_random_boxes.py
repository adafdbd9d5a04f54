from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from nasplug.parts import RandomBoxes


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fit_in_turn(boxes: RandomBoxes, number: int, height: int, width: int) -> list[int]:
    """The box of one image, step by step as torchvision's RandomResizedCrop finds it."""
    for area, aspect in zip(boxes.areas[number], boxes.aspects[number], strict=True):
        rows = round(math.sqrt(height * width * area / aspect))
        columns = round(math.sqrt(height * width * area * aspect))
        if 0 < rows <= height and 0 < columns <= width:
            down, right = boxes.positions[number]
            return [int(down * (height - rows + 1)), int(right * (width - columns + 1)), rows, columns]
    low, high = boxes.aspect_range
    rows, columns = height, width
    if width / height < low:
        rows = round(width / low)
    elif width / height > high:
        columns = round(height * high)
    return [(height - rows) // 2, (width - columns) // 2, rows, columns]


SIZES = np.array([[375, 500], [500, 375], [32, 32], [7, 300], [300, 7], [1, 1], [2, 40], [96, 97]])


@pytest.mark.parametrize("ranges", [(), ((0.9, 1.0), (0.3, 0.5)), ((0.5, 1.0), (2.0, 3.0))])
def test_boxes_of_images_of_many_sizes_are_those_found_in_turn(ranges):
    sizes = np.tile(SIZES, (50, 1))
    boxes = RandomBoxes.sample(len(sizes), seeded(3), *ranges)
    together, fitted = boxes.fit(sizes)
    expected = [fit_in_turn(boxes, number, *size) for number, size in enumerate(sizes.tolist())]
    assert together.tolist() == expected
    assert [list(boxes.fit_one(number, *size)) for number, size in enumerate(sizes.tolist())] == expected
    assert 0 < fitted.sum() < len(sizes)
    assert (together >= (0, 0, 1, 1)).all()
    assert (together[:, :2] + together[:, 2:] <= sizes).all()


def test_a_part_of_the_boxes_are_the_boxes_of_a_part():
    boxes = RandomBoxes.sample(8, seeded(1))
    whole = boxes.fit(SIZES)[0]
    assert boxes[[6, 0, 3]].fit(SIZES[[6, 0, 3]])[0].tolist() == whole[[6, 0, 3]].tolist()
    assert boxes[2:5].fit(SIZES[2:5])[0].tolist() == whole[2:5].tolist()
    assert boxes[[]].fit(np.empty((0, 2), np.int64))[0].shape == (0, 4)


def test_boxes_in_a_photograph_are_distributed_as_those_of_torchvision():
    published, image = v2.RandomResizedCrop(64), torch.empty(3, 120, 200)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = [published.make_params([image]) for _ in range(3000)]
    ours = RandomBoxes.sample(4000, seeded()).fit((120, 200))[0].T
    for values, name in zip(ours, ("top", "left", "height", "width"), strict=True):
        quartiles = np.quantile([box[name] for box in theirs], [0.25, 0.5, 0.75])
        np.testing.assert_allclose(np.quantile(values, [0.25, 0.5, 0.75]), quartiles, atol=6)
