"""Images that are nearly equal are found, and no others: by brute force on small sets, and on real images."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nasplug.data.near_duplicates import (
    BITS,
    DISTANCE,
    LEAST_SIDE,
    correlate,
    find_close,
    find_near_duplicates,
    hash_thumbnails,
    make_thumbnails,
)


def pairs_of(found) -> set[tuple[int, int]]:
    return {tuple(pair) for pairs in found for pair in pairs.tolist()}


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.integers(2, 60), st.integers(0, 8))
def test_close_hashes_are_those_that_comparing_all_finds(seed, count, distance):
    generator = np.random.default_rng(seed)
    hashes = generator.random((count, BITS)) < 0.5
    for index in range(1, count, 2):  # as near as asked for, or one bit farther
        flipped = generator.permutation(BITS)[: distance + index % 4 // 2]
        hashes[index] = hashes[index - 1]
        hashes[index, flipped] ^= True
    plain = {
        (first, second)
        for first in range(count)
        for second in range(first + 1, count)
        if (hashes[first] != hashes[second]).sum() <= distance
    }
    assert pairs_of(find_close(hashes, distance)) == plain


def test_the_search_for_close_hashes_ends_where_all_are_alike():
    hashes = np.zeros((200, BITS), np.bool_)
    assert len(pairs_of(find_close(hashes, DISTANCE))) == 199 * 100
    *_, last = find_close(hashes, DISTANCE, most=1000)
    assert last is None


def test_where_nearly_all_images_are_alike_some_pairs_are_enough(monkeypatch):
    monkeypatch.setattr("nasplug.data.near_duplicates.MOST_CLOSE", 1000)
    thumbnails = np.random.default_rng(0).integers(0, 200, (1, 32, 32), dtype=np.uint8)
    found = find_near_duplicates(thumbnails + np.arange(50, dtype=np.uint8)[:, None, None])
    assert 200 <= len(found.pairs) < 50 * 49 // 2  # each may be compared once for each of five bands
    assert not found.complete


def smooth(seed: int, count: int = 20, side: int = 64) -> list[Image.Image]:
    """Images with structure at several scales, as photographs have it."""
    generator = np.random.default_rng(seed)
    images = []
    for _ in range(count):
        image = np.zeros((side, side, 3))
        for scale in (4, 8, 16):
            noise = Image.fromarray(generator.integers(0, 256, (scale, scale, 3), dtype=np.uint8))
            image += np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC), float) / scale
        images.append(Image.fromarray((image / image.max() * 255).astype(np.uint8)))
    return images


def thumbnails_of(images: list[Image.Image], side: int = 32):
    pixels = np.stack(
        [np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)) for image in images]
    )
    return make_thumbnails(torch.from_numpy(pixels).permute(0, 3, 1, 2))


def again(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.resize((40, 40)).save(stream, "JPEG", quality=quality)
    return Image.open(stream)


def test_an_image_is_found_in_another_file_of_another_size_and_brightness():
    images = smooth(0)
    others = [
        again(images[3], 60),
        images[5].convert("L").convert("RGB"),
        images[7].point(lambda value: value * 0.8 + 20),
    ]
    found = find_near_duplicates(thumbnails_of(images + others))
    assert found.pairs.tolist() == [[3, 20], [5, 21], [7, 22]]
    assert found.complete


def test_images_that_differ_in_noise_alone_are_not_equal():
    """Their hashes may be, because almost all of each is one value."""
    generator = np.random.default_rng(0)
    plain = (np.full((50, 32, 32), 200) + generator.integers(-3, 4, (50, 32, 32))).astype(np.uint8)
    plain[:, 8:16, 8:16] -= 10
    assert len(pairs_of(find_close(hash_thumbnails(plain), 16))) > 0
    assert find_near_duplicates(plain).pairs.tolist() == []


def test_thumbnails_are_grey_as_pillow_makes_it():
    (image,) = smooth(1, count=1, side=32)
    grey = np.asarray(image.convert("L"), int)
    assert np.abs(thumbnails_of([image])[0].astype(int) - grey).max() <= 1
    assert np.array_equal(make_thumbnails(torch.from_numpy(grey.astype(np.uint8))[None, None])[0], grey)


def test_correlation_is_that_of_numpy_and_zero_for_one_value():
    thumbnails = np.random.default_rng(0).integers(0, 256, (4, 32, 32), dtype=np.uint8)
    thumbnails[3] = 7
    pairs = np.array([[0, 1], [1, 2], [2, 3]])
    expected = [np.corrcoef(thumbnails[first].ravel(), thumbnails[second].ravel())[0, 1] for first, second in pairs[:2]]
    assert correlate(thumbnails, pairs) == pytest.approx([*expected, 0.0])


def test_no_image_has_no_duplicate():
    assert find_near_duplicates(np.empty((0, 32, 32), np.uint8)).pairs.shape == (0, 2)


def test_larger_images_are_scaled_before_they_are_hashed():
    (image,) = smooth(2, count=1, side=128)
    first, second = thumbnails_of([image], 128)[0], thumbnails_of([image], LEAST_SIDE)[0]
    assert correlate(np.stack([first, second]), np.array([[0, 1]]))[0] > 0.9
