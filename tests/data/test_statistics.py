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


@pytest.mark.parametrize("value", [0.1, 37.2, 1013.25, 101_325.0])
def test_a_constant_channel_of_floats_gets_deviation_one_and_one_that_varies_its_own(value):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.full((300, 2, 1, 128), value)
    pixels[:, 1] += value * 1e-5 * torch.randn(300, 1, 128, generator=generator)
    mean, std = mean_and_std(MemoryImages(pixels, np.zeros(300, int)), np.arange(300))
    assert std[0] == 1.0
    assert std[1] == pytest.approx(float(pixels[:, 1].double().std(correction=0)), rel=1e-4)
    assert mean == pytest.approx((value, value), rel=1e-5)


def test_no_image_has_no_mean():
    images = MemoryImages(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), np.zeros(1, int))
    with pytest.raises(InputError, match="at least one image"):
        mean_and_std(images, np.empty(0, np.int64))
