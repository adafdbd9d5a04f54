from __future__ import annotations

import errno

import attrs
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from nasplug.data.images import MemoryImages
from nasplug.data.splits import Splits, divide, load_splits, make_splits, save_splits
from nasplug.errors import InputError, RunFailure
from nasplug.parts import ImageData


def data_of(counts: list[int], test: int | None = None) -> ImageData:
    """A data set with so many images of each class, in an order mixed by class."""
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    images = MemoryImages(torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8), labels)
    own = None if test is None else MemoryImages(torch.zeros(test, 1, 1, 1, dtype=torch.uint8), np.zeros(test, int))
    return ImageData("toy", tuple("abcdefghij"[: len(counts)]), 1, 1, images, own)


def per_class(data: ImageData, indices: np.ndarray) -> list[int]:
    return np.bincount(data.train.labels[indices], minlength=len(data.classes)).tolist()


def test_without_test_images_three_splits_share_the_images_by_class():
    data = data_of([1000, 2000, 3000])
    splits = make_splits(data, seed=0, validation=0.1, test=0.2)
    assert splits.test_from == "train"
    assert per_class(data, splits.test) == [200, 400, 600]
    assert per_class(data, splits.validation) == [100, 200, 300]
    assert per_class(data, splits.train) == [700, 1400, 2100]
    together = np.concatenate([splits.train, splits.validation, splits.test])
    assert sorted(together.tolist()) == list(range(6000))


def test_counts_that_do_not_divide_evenly_stay_within_one_of_proportion():
    data = data_of([401, 733, 1290])
    splits = make_splits(data, seed=3, validation=0.17, test=0.23)
    assert len(splits.test) == round(0.23 * 2424)
    assert len(splits.validation) == round(0.17 * 2424)
    for count, whole in zip(per_class(data, splits.test), [401, 733, 1290], strict=True):
        assert abs(count - 0.23 * whole) < 1


def test_the_largest_remainders_are_rounded_up():
    data = data_of([104, 107, 109])
    assert per_class(data, make_splits(data, 0, validation=0, test=0.1).test) == [10, 11, 11]


def test_own_test_images_are_taken_as_they_are():
    data = data_of([500, 500], test=70)
    splits = make_splits(data, seed=0, test=0.5)
    assert splits.test_from == "test"
    assert splits.test.tolist() == list(range(70))
    assert sorted([*splits.train, *splits.validation]) == list(range(1000))


def test_validation_holds_at_least_300_images_unless_it_is_switched_off():
    data = data_of([500, 500], test=1)
    assert len(make_splits(data, 0, validation=0.1).validation) == 300
    assert len(make_splits(data, 0, validation=0.4).validation) == 400
    none = make_splits(data, 0, validation=0.0)
    assert (len(none.validation), len(none.train)) == (0, 1000)


def test_splits_depend_on_the_seed_alone():
    own = data_of([800, 800], test=1)
    validations = [make_splits(own, seed).validation.tolist() for seed in (5, 5, 6)]
    assert validations[0] == validations[1] != validations[2]
    data = data_of([800, 800])
    first, again, other = (make_splits(data, seed) for seed in (5, 5, 6))
    for name in ("train", "validation", "test"):
        assert getattr(first, name).tolist() == getattr(again, name).tolist()
        assert getattr(first, name).tolist() != getattr(other, name).tolist()


def test_of_few_images_a_third_of_what_is_not_for_the_test_is_held_out():
    data = data_of([20, 20, 20])
    splits = make_splits(data, 0)
    assert [len(splits.test), len(splits.validation), len(splits.train)] == [12, 16, 32]
    assert all(count >= 5 for count in per_class(data, splits.validation))
    assert len(make_splits(data, 0, validation=0.35).validation) == 21
    assert len(make_splits(data_of([449, 449], test=1), 0).validation) == 299


def test_more_validation_than_training_images_are_refused_with_what_would_work():
    with pytest.raises(InputError, match=r"holds out 700 .* \(at most 0.5\)"):
        make_splits(data_of([500, 500], test=1), 0, validation=0.7)
    assert len(make_splits(data_of([500, 500], test=1), 0, validation=0.5).train) == 500


def test_a_class_left_with_one_training_image_is_refused_by_name():
    with pytest.raises(InputError, match=r"has 3 images, of which 1 would be left .*, or hold out fewer\.$"):
        make_splits(data_of([3, 3, 3]), 0, test=0.5, validation=0)
    with pytest.raises(InputError, match=r"'b' .* has 1 image, of which 1 would be .* more images of this class\.$"):
        make_splits(data_of([998, 1], test=1), 0, validation=0.3)
    with pytest.raises(InputError, match=r"Class 'c' .* has 0 images"):
        make_splits(data_of([500, 500, 0], test=1), 0, validation=0)


def test_a_class_without_an_image_to_spare_keeps_all_and_others_give_more():
    whole = data_of([998, 2], test=1)
    assert per_class(whole, make_splits(whole, 0, validation=0.5).validation) == [500, 0]
    data = data_of([4, 4, 4, 40])
    splits = make_splits(data, 0, validation=0.35, test=0.2)
    assert per_class(data, splits.test) == [1, 1, 1, 7]
    assert per_class(data, splits.validation) == [1, 1, 1, 15]  # by remainders, one class would give two of three


def test_a_file_of_splits_that_cannot_be_written_is_said_and_leaves_nothing(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RunFailure, match=r"splits.safetensors' cannot be written: No space left on device"):
        save_splits(make_splits(data_of([800, 800]), 0), tmp_path / "splits.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", range(20))
def test_every_class_has_its_share_of_each_split_and_an_image_wherever_it_has_enough(seed):
    generator = np.random.default_rng(seed)
    counts = [int(count) for count in generator.integers(4, 60, generator.integers(2, 9))]
    counts[0] += max(0, 50 - sum(counts))
    data = data_of(counts)
    splits = make_splits(data, seed)
    shares = [len(splits.test) / sum(counts), len(splits.validation) / (sum(counts) - len(splits.test))]
    tests, validations = per_class(data, splits.test), per_class(data, splits.validation)
    assert len(splits.test) == round(0.2 * sum(counts))
    assert min(*tests, *validations) >= 1
    for whole, tested, validated in zip(counts, tests, validations, strict=True):
        assert abs(tested - shares[0] * whole) <= 1 + sum(count < 5 for count in counts)
        assert abs(validated - shares[1] * (whole - tested)) <= 1 + sum(count < 6 for count in counts)
    together = np.concatenate([splits.train, splits.validation, splits.test])
    assert sorted(together.tolist()) == list(range(sum(counts)))


def test_fifty_images_of_two_classes_are_enough():
    data = data_of([25, 25])
    splits = make_splits(data, 0)
    assert [per_class(data, part) for part in (splits.test, splits.validation, splits.train)] == [
        [5, 5],
        [7, 6],
        [13, 14],
    ]


def test_a_class_a_hundredth_as_large_is_in_every_split():
    data = data_of([400, 4])
    splits = make_splits(data, 0)
    assert [per_class(data, part)[1] for part in (splits.test, splits.validation, splits.train)] == [1, 1, 2]
    assert len(splits.test) == 81
    many = data_of([400, 4, 4, 4])  # all of which would be rounded to nothing
    assert per_class(many, make_splits(many, 0, test=0.03).test) == [9, 1, 1, 1]


def test_fewer_test_images_than_classes_go_to_the_largest():
    data = data_of([100, 10, 10])
    assert per_class(data, make_splits(data, 0, test=0.017).test) == [2, 0, 0]


def test_shares_of_a_split_are_disjoint_and_seeded():
    indices = np.arange(100, 201)
    shares = {"train.weights": 0.5, "train.alpha": 0.25, "train.rating": 0.25}
    parts = divide(indices, shares, seed=1)
    assert [len(part) for part in parts.values()] == [50, 26, 25]
    assert sorted(np.concatenate(list(parts.values())).tolist()) == indices.tolist()
    assert parts["train.weights"].tolist() != indices[:50].tolist()
    assert divide(indices, shares, seed=1)["train.alpha"].tolist() == parts["train.alpha"].tolist()
    assert divide(indices, shares, seed=2)["train.alpha"].tolist() != parts["train.alpha"].tolist()


def test_one_whole_share_is_the_split_itself():
    indices = np.array([5, 1, 3])
    assert divide(indices, {"train": 1.0}, seed=0)["train"] is indices


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"a": 0.7, "b": 0.7}, "at most 1, but a=0.7, b=0.7 sum to 1.4"),
        ({"a": 0.99, "b": 0.01}, "b=0.01 of a split of 10 images would hold no image"),
        ({"a": 0.5, "b": -0.1}, "b=-0.1"),
    ],
)
def test_shares_that_cannot_be_had_are_refused(shares, message):
    with pytest.raises(InputError, match=message):
        divide(np.arange(10), shares, seed=0)


def test_splits_survive_their_file(tmp_path):
    path = tmp_path / "splits.safetensors"
    splits = make_splits(data_of([800, 800]), 0)
    save_splits(splits, path)
    save_splits(splits, path)
    read = load_splits(path)
    assert read.test_from == "train"
    for name in ("train", "validation", "test"):
        assert getattr(read, name).dtype == np.int64
        assert getattr(read, name).tolist() == getattr(splits, name).tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["splits.safetensors"]


def test_an_empty_validation_split_survives_its_file(tmp_path):
    indices = np.arange(3)
    save_splits(Splits(indices, np.empty(0, np.int64), indices, "test"), tmp_path / "splits")
    assert len(load_splits(tmp_path / "splits").validation) == 0
    assert load_splits(tmp_path / "splits").test_from == "test"


def test_a_missing_or_damaged_file_of_splits_is_refused(tmp_path):
    path = tmp_path / "splits.safetensors"
    with pytest.raises(InputError, match="There is no file"):
        load_splits(path)
    save_splits(make_splits(data_of([800, 800]), 0), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="cannot be read"):
        load_splits(path)
    save_file({"train": np.arange(3)}, path, metadata={"test_from": "train"})
    with pytest.raises(InputError, match="is no file of splits"):
        load_splits(path)
    save_file({name: np.zeros(2, np.float32) for name in ("train", "validation", "test")}, path, {"test_from": "test"})
    with pytest.raises(InputError, match="is no file of splits"):
        load_splits(path)


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [([0, 1, 1], [], []), ([1, 0], [], []), ([-1, 0], [], []), ([0, 1], [1], []), ([0, 1], [2], [2])],
)
def test_indices_that_repeat_or_are_out_of_order_are_refused(tmp_path, train, validation, test):
    path = tmp_path / "splits.safetensors"
    save_splits(Splits(*(np.array(each, dtype=np.int64) for each in (train, validation, test)), "train"), path)
    with pytest.raises(InputError, match="must be ascending from 0 on, and no image may be in two"):
        load_splits(path)


def test_a_changed_index_is_noticed(tmp_path):
    path = tmp_path / "splits.safetensors"
    save_splits(Splits(np.array([0, 3]), np.array([1]), np.array([2]), "train"), path)
    content = bytearray(path.read_bytes())
    content[content.rindex(3)] = 5
    path.write_bytes(content)
    with pytest.raises(InputError, match="do not match their checksum"):
        load_splits(path)


@pytest.mark.parametrize("tests", [None, 5])
def test_images_for_validation_of_their_own_are_the_validation_split(tests):
    data = attrs.evolve(data_of([30, 60], test=tests), validation=np.arange(80, 90))
    for share in (0.0, 0.3, 0.9):
        splits = make_splits(data, 0, validation=share, test=0.25)
        assert splits.validation.tolist() == list(range(80, 90))
        assert splits.test_from == ("train" if tests is None else "test")
        assert len(splits.test) == (20 if tests is None else 5)
        used = [splits.train, splits.validation, *([splits.test] if tests is None else [])]
        assert sorted(np.concatenate(used).tolist()) == list(range(90))
    few = attrs.evolve(data_of([3, 60], test=5), validation=np.arange(62))
    with pytest.raises(InputError, match="would be left for training"):
        make_splits(few, 0)
