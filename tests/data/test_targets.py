"""Which task targets with several columns have, and how their images are divided and recorded."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nasplug.builtin.data_sets.arrays import Arrays
from nasplug.data import MemoryImages, make_splits
from nasplug.data.folds import make_folds
from nasplug.data.in_memory import to_image_data
from nasplug.data.record import SetRecord
from nasplug.data.targets import note_one_label, read_columns, task_of
from nasplug.errors import InputError
from nasplug.parts import Classification, ImageData, MultiLabel, Regression

PIXELS = torch.zeros(40, 1, 8, 8, dtype=torch.uint8)
HAVING = np.random.default_rng(0).integers(0, 2, (40, 3))
NUMBERS = np.random.default_rng(1).normal(size=(40, 2))


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.int64])
def test_whole_numbers_are_labels(dtype):
    targets = read_columns(HAVING.astype(dtype), "labels")
    assert (targets.dtype, task_of(targets)) == (np.uint8, MultiLabel())
    assert (targets == HAVING).all()


def test_other_numbers_are_a_regression():
    targets = read_columns(NUMBERS, "labels")
    assert (targets.dtype, task_of(targets)) == (np.float32, Regression())
    assert task_of(np.arange(3)) == Classification()


def test_numbers_that_float32_lacks_are_named():
    values = NUMBERS.copy()
    values[3, 1] = -1e300
    with pytest.raises(InputError, match=r"that of image 3 in column 1 is -1e\+300; scale them"):
        read_columns(values, "labels")


def test_labels_that_exclude_each_other_are_noted():
    assert "labels.argmax(1)" in note_one_label(np.eye(3, dtype=np.uint8), MultiLabel())[0]
    assert note_one_label(np.array([[1, 1, 0], [0, 0, 1]], np.uint8), MultiLabel()) == ()


@pytest.mark.parametrize(("labels", "task"), [(HAVING.astype(bool), MultiLabel()), (NUMBERS[:, :1], Regression())])
def test_a_file_and_a_program_give_the_same(labels, task, tmp_path):
    names = ["a", "b", "c"][: labels.shape[1]]
    tensors = {"images": PIXELS.permute(0, 2, 3, 1).contiguous(), "labels": torch.from_numpy(labels.copy())}
    save_file(tensors, tmp_path / "x.safetensors", {"classes": json.dumps(names)})
    data = Arrays().load(str(tmp_path / "x.safetensors"), None, False)
    again = to_image_data((PIXELS, labels))
    assert (data.task, data.classes, again.task) == (task, tuple(names), task)
    assert again.classes == tuple(map(str, range(len(names))))
    np.testing.assert_array_equal(data.train.labels, again.train.labels)


def test_a_single_column_of_whole_numbers_is_of_classes():
    assert to_image_data((PIXELS, np.arange(40)[:, None] % 2)).task == Classification()


def test_rare_labels_are_in_each_split_and_fold():
    targets = np.zeros((200, 3), np.uint8)
    targets[:20, 0] = 1
    targets[::2, 1] = 1
    targets[5:150, 2] = 1
    pixels = torch.zeros(200, 1, 8, 8, dtype=torch.uint8)
    data = ImageData("x", ("a", "b", "c"), 8, 1, MemoryImages(pixels, targets), None, task=MultiLabel())
    splits = make_splits(data, seed=0)
    shares = [int(targets[getattr(splits, name), 0].sum()) for name in ("train", "validation", "test")]
    assert sum(shares) == 20
    assert abs(shares[2] - 4) <= 1
    assert abs(shares[1] - 20 * len(splits.validation) / 200) <= 1
    folds = make_folds(np.arange(200), data.task.strata(targets), 5, 0)
    assert {int(targets[fold, 0].sum()) for fold in folds} == {4}


@pytest.mark.parametrize("targets", [HAVING.astype(np.uint8), NUMBERS.astype(np.float32)])
def test_a_record_tells_other_targets(targets):
    images = MemoryImages(PIXELS, targets)
    record = SetRecord.of(images)
    again = SetRecord(record.names, tuple(map(tuple, json.loads(json.dumps(record.labels)))), record.digests)
    assert again == record
    assert again.find_difference(images, None) is None
    other = targets.copy()
    other[7, 1] = 1 - other[7, 1]
    assert again.find_difference(MemoryImages(PIXELS, other), None) == "with other targets: number 7"
