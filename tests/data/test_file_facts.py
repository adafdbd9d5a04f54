"""What the headers of image files tell, and what is suggested from it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from nasplug.data.decoding import decode
from nasplug.data.file_facts import FileFacts, quantiles
from nasplug.data.suggestions import suggest_batch_size, suggest_size


def test_headers_tell_sizes_modes_and_formats(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg", exif=exif)
    Image.new("L", (40, 50)).save(tmp_path / "b.png")
    Image.new("RGB", (60, 10)).save(tmp_path / "c.jpg")
    facts = FileFacts.read([tmp_path / name for name in ("a.jpg", "b.png", "c.jpg")])
    assert list(facts.formats.items()) == [("JPEG", 2), ("PNG", 1)]
    assert facts.modes == {"RGB": 2, "L": 1}
    assert (facts.widths.tolist(), facts.heights.tolist()) == ([20, 40, 60], [30, 50, 10])
    assert facts.shorter_sides.tolist() == [20, 40, 10]
    assert decode(tmp_path / "a.jpg", 8, 3).shape == (3, 8, 8)


def test_quantiles_are_values_that_occur():
    assert quantiles(np.arange(101)) == [0, 5, 50, 95, 100]
    assert quantiles(np.array([7, 9])) == [7, 7, 7, 9, 9]


@pytest.mark.parametrize(
    ("sides", "size"),
    [
        ([], 8),
        ([1, 5, 9], 8),
        ([28] * 9, 28),
        ([31, 33, 40], 32),
        ([47, 64], 44),
        ([63, 64, 64], 64),
        ([8, 375, 500], 64),
    ],
)
def test_half_of_the_images_need_not_be_enlarged_to_the_suggested_size(sides, size):
    assert suggest_size(np.array(sides, np.int64)) == size


@pytest.mark.parametrize(
    ("images", "usual", "size"),
    [(50_000, 64, 64), (640, 64, 64), (639, 64, 32), (100, 64, 8), (1, 64, 8), (100, 12, 12), (100, 96, 12)],
)
def test_an_epoch_of_the_suggested_batches_has_ten_steps_or_the_batches_are_small(images, usual, size):
    assert suggest_batch_size(images, usual) == size
