from __future__ import annotations

import numpy as np
import pytest
import torch

from nasplug.data.images import MemoryImages
from nasplug.data.statistics import mean_and_std
from nasplug.errors import InputError


def test_mean_and_std_are_those_of_numpy_over_the_chosen_images():
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (1300, 3, 5, 5), dtype=np.uint8)
    pixels[:, 1] //= 4
    chosen = generator.permutation(1300)[:1100]
    mean, std = mean_and_std(MemoryImages(torch.from_numpy(pixels), np.zeros(1300, int)), chosen)
    scaled = pixels[chosen].astype(np.float64) / 255
    np.testing.assert_allclose(mean, scaled.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, scaled.std((0, 2, 3)), rtol=1e-12)


def test_a_constant_channel_gets_deviation_one():
    pixels = torch.full((4, 1, 2, 2), 51, dtype=torch.uint8)
    assert mean_and_std(MemoryImages(pixels, np.zeros(4, int)), np.arange(4)) == ((0.2,), (1.0,))


def test_no_image_has_no_mean():
    images = MemoryImages(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), np.zeros(1, int))
    with pytest.raises(InputError, match="at least one image"):
        mean_and_std(images, np.empty(0, np.int64))
