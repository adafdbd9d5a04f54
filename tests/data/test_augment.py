from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import AutoAugmentPolicy, v2

from nasplug.data import autoaugment, policies
from nasplug.data.augment import augment, cut_out, normalize, random_flip, shift_and_flip


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(count: int, channels: int = 3, size: int = 8) -> Tensor:
    return torch.randint(1, 256, (count, channels, size, size), generator=seeded(99), dtype=torch.uint8)


def every_shift_and_flip(image: Tensor, shift: int, flips: bool) -> dict[tuple[int, int, bool], Tensor]:
    """All results that standard augmentation of one image (C, H, W) may have, by plain loops over pixels."""
    channels, size, _ = image.shape
    results = {}
    for down in range(-shift, shift + 1):
        for right in range(-shift, shift + 1):
            moved = torch.zeros(channels, size, size, dtype=torch.uint8)
            for row in range(size):
                for column in range(size):
                    if 0 <= row - down < size and 0 <= column - right < size:
                        moved[:, row, column] = image[:, row - down, column - right]
            results[down, right, False] = moved
            if flips:
                results[down, right, True] = moved.flip(2)
    return results


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("flips", [True, False])
def test_shift_and_flip_equals_one_image_at_a_time(channels, flips):
    image = noise(1, channels)[0]
    expected = every_shift_and_flip(image, shift=1, flips=flips)
    seen = set()
    for result in shift_and_flip(image.repeat(400, 1, 1, 1), seeded(), flips=flips, shift=1):
        matches = [key for key, image in expected.items() if torch.equal(image, result)]
        assert len(matches) == 1
        seen.add(matches[0])
    assert seen == set(expected)  # 400 draws of at most 18 outcomes: each is missed with probability 1e-10


def test_each_image_is_shifted_from_its_own_pixels():
    images = noise(5, size=6)
    for image, result in zip(images, shift_and_flip(images, seeded(4), flips=True, shift=2), strict=True):
        assert any(torch.equal(result, image) for image in every_shift_and_flip(image, 2, True).values())


def test_augmentation_is_a_pure_function_of_the_seed():
    images = noise(40)
    before = images.clone()
    torch.manual_seed(1)
    state = torch.get_rng_state()
    for name in ("standard", "autoaugment", "autoaugment-pillow", "imagenet", "imagenet-autoaugment"):
        first, again, other = (augment(images, seeded(seed), name, flips=True, shift=1) for seed in (3, 3, 4))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert first.dtype == torch.uint8
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert augment(images, seeded(), "none", flips=True, shift=1) is images


PUBLISHED = {"cifar": AutoAugmentPolicy.CIFAR10, "imagenet": AutoAugmentPolicy.IMAGENET}
TABLES = {"cifar": policies.CIFAR, "imagenet": policies.IMAGENET}
POLICIES = {"cifar": autoaugment.CIFAR, "imagenet": autoaugment.IMAGENET}
KINDS = sorted({kind for policy in POLICIES.values() for kind in policy.kinds})


@pytest.mark.parametrize("name", PUBLISHED)
def test_sub_policies_are_those_of_torchvision(name):
    published = v2.AutoAugment(PUBLISHED[name])._policies
    ours = [tuple((name, chance, level) for name, chance, level in policy) for policy in TABLES[name]]
    theirs = [tuple((name, chance, level or 0) for name, chance, level in policy) for policy in published]
    assert ours == theirs


@pytest.mark.parametrize(("name", "level"), KINDS)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("channels", [1, 3])
def test_operations_on_a_batch_equal_torchvision_on_each_image(name, level, sign, channels):
    images = noise(3, channels, size=16)
    images[1] //= 3  # its own range, so that statistics of the whole batch would differ
    published = v2.AutoAugment(AutoAugmentPolicy.CIFAR10)
    magnitudes, signed = published._AUGMENTATION_SPACE[name]
    levels = magnitudes(10, 16, 16)
    magnitude = 0.0 if levels is None else float(levels[level])
    magnitude = sign * magnitude if signed else magnitude
    result = autoaugment.apply_operation(images, name, level, sign)
    for image, changed in zip(images, result, strict=True):
        expected = published._apply_image_or_video_transform(image, name, magnitude, published.interpolation, {})
        # A magnitude rounded to float32 there lets enhanced pixels fall on the other side of a whole number.
        allowed = 1 if name in ("Brightness", "Color", "Contrast", "Sharpness") else 0
        assert int((changed.int() - expected.int()).abs().max()) <= allowed


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_autoaugment_of_a_batch_equals_one_image_at_a_time(channels, name):
    images, policy = noise(150, channels, size=8), POLICIES[name]
    result = policy(images, seeded(7))
    kinds, signs = policy.sample(len(images), seeded(7))
    for image, changed, kind, sign in zip(images, result, kinds, signs, strict=True):
        expected = image[None]
        for stage in (0, 1):
            if kind[stage] >= 0:
                expected = autoaugment.apply_operation(expected, *policy.kinds[kind[stage]], int(sign[stage]))
        assert torch.equal(changed, expected[0])
    assert not torch.equal(result, images)


@pytest.mark.parametrize("name", POLICIES)
def test_sub_policies_are_drawn_with_their_probabilities(name):
    count, policy, table = 100_000, POLICIES[name], TABLES[name]
    kinds, signs = policy.sample(count, seeded(2))
    rates = dict.fromkeys(policy.kinds, 0.0)
    for sub_policy in table:
        operation, chance, level = sub_policy[0]
        rates[operation, level] += chance / len(table)
    frequencies = np.bincount(kinds[kinds[:, 0] >= 0, 0], minlength=len(policy.kinds)) / count
    np.testing.assert_allclose(frequencies, list(rates.values()), atol=0.005)
    assert abs(signs.mean()) < 0.01


def test_images_are_mirrored_half_of_the_time_where_they_may_be():
    images = noise(400)
    result = random_flip(images, seeded(), flips=True)
    turned = (result == images.flip(3)).flatten(1).all(1)
    assert torch.equal(result[~turned], images[~turned])
    assert 150 < int(turned.sum()) < 250
    assert torch.equal(random_flip(images, seeded(), flips=False), images)


def test_normalisation_removes_mean_and_deviation_in_channels_last_layout():
    images = noise(4)
    mean, std = torch.tensor([0.1, 0.4, 0.7]), torch.tensor([0.2, 0.3, 0.5])
    result = normalize(images, mean, std)
    plain = (images.numpy() / 255 - mean.numpy().reshape(3, 1, 1)) / std.numpy().reshape(3, 1, 1)
    np.testing.assert_allclose(result.numpy(), plain, rtol=1e-5, atol=1e-6)
    assert result.dtype == torch.float32
    assert result.is_contiguous(memory_format=torch.channels_last)


def test_cutout_removes_one_square_around_a_centre_anywhere_in_the_image():
    images = torch.ones(2000, 2, 8, 8)
    result = cut_out(images, 4, seeded())
    assert torch.equal(result[:, 0], result[:, 1])
    holes = result[:, 0] == 0
    allowed = torch.zeros(64, 8, 8, dtype=torch.bool)
    for row in range(8):
        for column in range(8):
            allowed[8 * row + column, max(row - 2, 0) : row + 2, max(column - 2, 0) : column + 2] = True
    matches = (holes[:, None] == allowed[None]).all((2, 3))
    assert matches.any(1).all()
    # Each of the 64 holes differs from the others, so each image matches one of them, and all of them occur.
    assert matches.sum(1).tolist() == [1] * 2000
    assert matches.any(0).all()
    assert torch.equal(images, torch.ones(2000, 2, 8, 8))


def test_an_odd_square_has_its_full_side():
    holes = (cut_out(torch.ones(500, 1, 9, 9), 3, seeded()) == 0).sum((1, 2, 3))
    assert int(holes.max()) == 9
