"""What is seen of each image, in one reading of all."""

from __future__ import annotations

import numpy as np
import torch

from nasplug.data.in_memory import to_image_data
from nasplug.data.statistics import mean_and_std, mean_and_std_of
from nasplug.data.survey import digest_pixels, survey

PIXELS = torch.randint(0, 256, (10, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def images_of(pixels):
    return to_image_data((pixels, [0, 1] * (len(pixels) // 2))).train


def test_a_digest_is_of_the_pixels_and_nothing_else():
    first, again = (
        digest_pixels(PIXELS[[3, 4]]),
        digest_pixels(PIXELS.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)[[4, 3]]),
    )
    assert first == again[::-1]
    assert len(set(digest_pixels(PIXELS))) == 10


def test_plain_and_grey_images_are_seen():
    pixels = PIXELS.clone()
    pixels[4] = torch.tensor([1, 2, 3], dtype=torch.uint8).view(3, 1, 1)
    pixels[6] = pixels[6, :1]
    seen = survey(images_of(pixels))
    assert np.flatnonzero(seen.constant).tolist() == [4]
    assert np.flatnonzero(seen.grey).tolist() == [6]
    assert survey(images_of(pixels[:, :1])).grey.all()


def test_mean_and_deviation_of_a_split_follow_from_one_reading():
    images, indices = images_of(PIXELS), np.array([1, 2, 7])
    assert mean_and_std_of(survey(images).sums[indices], 16) == mean_and_std(images, indices)


def test_thumbnails_are_made_where_they_are_asked_for_and_tell_something():
    large = PIXELS.repeat(1, 1, 4, 4)
    assert survey(images_of(large)).thumbnails is None
    assert survey(images_of(PIXELS), with_thumbnails=True).thumbnails is None
    assert survey(images_of(large), with_thumbnails=True).thumbnails.shape == (10, 32, 32)
