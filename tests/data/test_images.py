from __future__ import annotations

import numpy as np
import pytest
import torch

from nasplug.data.images import MemoryImages


def some_images(count: int = 6) -> MemoryImages:
    pixels = torch.arange(count * 3 * 4 * 4).remainder(256).to(torch.uint8).reshape(count, 3, 4, 4)
    return MemoryImages(pixels, np.arange(count) % 2)


def test_images_are_read_in_the_order_asked_for():
    images = some_images()
    assert torch.equal(images.read([4, 0, 4]), torch.stack([images.pixels[4], images.pixels[0], images.pixels[4]]))


def test_targets_are_the_labels():
    images = some_images()
    assert images.targets.dtype == torch.int64
    assert images.targets.tolist() == images.labels.tolist() == [0, 1, 0, 1, 0, 1]


def test_images_are_copied_to_a_device_once():
    images = some_images()
    meta = torch.device("meta")
    assert images.to(torch.device("cpu")) is images
    assert images.to(meta).pixels.device == images.to(meta).targets.device == meta
    assert images.to(meta) is images.to(meta)


@pytest.mark.parametrize(
    ("pixels", "labels"),
    [
        (torch.zeros(2, 3, 4, 4, dtype=torch.float64), np.zeros(2, int)),
        (torch.zeros(2, 4, 4, dtype=torch.uint8), np.zeros(2, int)),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), np.zeros(3, int)),
    ],
)
def test_pixels_that_are_no_images_are_refused(pixels, labels):
    with pytest.raises(ValueError, match="Expected uint8"):
        MemoryImages(pixels, labels)
