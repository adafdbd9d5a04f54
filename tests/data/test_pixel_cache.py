from __future__ import annotations

from pathlib import Path

import numpy as np

from nasplug.data.pixel_cache import Form, PixelCache


def image(size: int) -> np.ndarray:
    return np.full(size, size, np.uint8)


def names(*numbers: int) -> list[Path]:
    return [Path(f"{number}.png") for number in numbers]


def test_as_many_images_are_kept_as_fit():
    cache = PixelCache(25)
    for name in names(0, 1, 1, 2):
        cache.keep(Form.SQUARE, name, image(10))
    assert cache.find(Form.SQUARE, names(2, 1, 0)).keys() == {1, 2}
    assert not cache.has_room(Form.SQUARE)
    cache.keep(Form.SQUARE, Path("small.png"), image(5))
    assert cache.find(Form.SQUARE, [Path("small.png")])[0].tolist() == [5] * 5


def test_forms_are_told_apart_and_the_other_form_makes_room():
    cache = PixelCache(25)
    for name in names(0, 1, 2):
        cache.keep(Form.SQUARE, name, image(10))
    assert cache.has_room(Form.ORIGINAL)
    assert cache.find(Form.ORIGINAL, names(0, 1)) == {}
    cache.keep(Form.ORIGINAL, Path("0.png"), image(20))
    assert cache.find(Form.ORIGINAL, names(0)).keys() == {0}
    assert cache.find(Form.SQUARE, names(0, 1, 2)) == {}
    cache.keep(Form.ORIGINAL, Path("1.png"), image(20))
    assert cache.find(Form.ORIGINAL, names(0, 1)).keys() == {0}
    assert not cache.has_room(Form.ORIGINAL)
    assert cache.has_room(Form.SQUARE)


def test_without_a_budget_nothing_is_kept():
    cache = PixelCache(0)
    cache.keep(Form.SQUARE, Path("0.png"), image(1))
    assert cache.find(Form.SQUARE, names(0)) == {}
