from __future__ import annotations

import numpy as np
import pytest
import torch

from nasplug.data.folds import Fold, make_folds
from nasplug.data.images import MemoryImages
from nasplug.data.splits import Splits, check_folds, make_splits
from nasplug.errors import InputError
from nasplug.parts import ImageData


def data_of(counts: list[int], test: int | None = None) -> ImageData:
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    images = MemoryImages(torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8), labels)
    own = None if test is None else MemoryImages(torch.zeros(test, 1, 1, 1, dtype=torch.uint8), np.zeros(test, int))
    return ImageData("toy", tuple("abcdefghij"[: len(counts)]), 1, 1, images, own)


@pytest.mark.parametrize("seed", range(10))
def test_folds_are_disjoint_and_equal_but_for_one_image_in_all_and_in_every_class(seed):
    generator = np.random.default_rng(seed)
    counts, count = generator.integers(1, 40, 5), int(generator.integers(2, 9))
    labels = generator.permutation(np.repeat(np.arange(5), counts))
    pool = np.sort(generator.permutation(len(labels))[: len(labels) * 3 // 4])
    folds = make_folds(pool, labels, count, seed)
    assert sorted(np.concatenate(folds).tolist()) == pool.tolist()
    assert all((np.diff(fold) > 0).all() for fold in folds)
    sizes = [len(fold) for fold in folds]
    assert max(sizes) - min(sizes) <= 1
    by_class = np.array([np.bincount(labels[fold], minlength=5) for fold in folds])
    assert (by_class.max(0) - by_class.min(0) <= 1).all()


def test_folds_depend_on_seed_and_number_alone():
    labels, pool = np.arange(60) % 3, np.arange(60)
    first, again, other = (make_folds(pool, labels, 5, seed) for seed in (1, 1, 2))
    assert [fold.tolist() for fold in first] == [fold.tolist() for fold in again]
    assert [fold.tolist() for fold in first] != [fold.tolist() for fold in other]


def test_a_fold_takes_the_place_of_the_validation_split_and_the_test_images_stay():
    splits = Splits(np.array([0, 2, 4, 6]), np.array([1, 7]), np.array([3, 5]), "train")
    labels = np.zeros(8, np.int64)
    divided = [splits.with_fold(fold, labels, 0) for fold in Fold.all(3)]
    assert sorted(np.concatenate([each.validation for each in divided]).tolist()) == [0, 1, 2, 4, 6, 7]
    for each in divided:
        assert sorted([*each.train, *each.validation]) == [0, 1, 2, 4, 6, 7]
        assert (each.test.tolist(), each.test_from) == ([3, 5], "train")
    whole = splits.without_validation()
    assert (whole.train.tolist(), whole.validation.tolist(), whole.test.tolist()) == ([0, 1, 2, 4, 6, 7], [], [3, 5])
    assert whole.validation.dtype == np.int64


@pytest.mark.parametrize("test", [None, 9])
def test_the_validation_split_of_a_run_with_folds_is_the_first_of_them(test):
    data = data_of([20, 20, 20], test)
    splits = make_splits(data, 3, folds=5)
    again = splits.with_fold(Fold(0, 5), data.train.labels, 3)
    assert again.validation.tolist() == splits.validation.tolist()
    assert again.train.tolist() == splits.train.tolist()
    assert splits.test.tolist() == make_splits(data, 3).test.tolist()
    assert len(splits.validation) == (12 if test else 10)
    assert [str(fold) for fold in Fold.all(2)] == ["1-of-2", "2-of-2"]


def test_what_is_too_little_for_folds_is_refused_with_what_would_work():
    with pytest.raises(InputError, match=r"data.folds=30 .* 48 images .* at most 24 folds, such as data.folds=5"):
        make_splits(data_of([30, 30]), 0, folds=30)
    with pytest.raises(InputError, match=r"Class 'b' .* has 3 images, of which 1 would be left"):
        make_splits(data_of([50, 3], test=1), 0, folds=2)
    data = data_of([50, 3], test=1)
    assert len(make_splits(data, 0, folds=3).train) == 35
    check_folds(data, make_splits(data, 0), 3)
    with pytest.raises(InputError, match="Class 'b'"):
        check_folds(data, make_splits(data, 0), 2)
