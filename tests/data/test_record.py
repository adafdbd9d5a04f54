"""The record of the images of a run tells what has changed, and only that."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from PIL import Image

from nasplug.builtin.data_sets.folder import Folder
from nasplug.data.in_memory import to_image_data
from nasplug.data.record import DataRecord, SetRecord
from nasplug.data.splits import Splits
from nasplug.errors import InputError

PIXELS = torch.randint(0, 256, (8, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = [0, 1] * 4


def record(data) -> DataRecord:
    test = None if data.test is None else SetRecord.of(data.test)
    return DataRecord(
        data.classes, data.size, data.channels, SetRecord.of(data.train), test, (0.5,), (0.2,), ("a note",)
    )


def arrays(pixels=PIXELS, labels=LABELS, tests=None):
    return to_image_data((pixels, labels) if tests is None else ((pixels, labels), tests))


def changed(index: int):
    pixels = PIXELS.clone()
    pixels[index, 0, 0, 0] += 1
    return pixels


def test_a_record_is_the_same_after_it_was_written_and_read():
    before = record(arrays(tests=(PIXELS[:4], LABELS[:4])))
    after = DataRecord.from_dict(json.loads(json.dumps(before.to_dict())))
    assert after == before
    assert after.find_difference(arrays(tests=(PIXELS[:4], LABELS[:4]))) is None


@pytest.mark.parametrize(
    ("data", "difference"),
    [
        (arrays(PIXELS[:6], LABELS[:6]), "there are 6 images, and there were 8"),
        (arrays(changed(5)), "changed: number 5"),
        (arrays(PIXELS.flip(0), LABELS[::-1]), "of another class: number 0, number 1"),
        (arrays(labels=[0, 1, 0, 1, 0, 1, 1, 1]), "of another class: number 6"),
        (arrays(PIXELS.repeat(1, 3, 1, 1)), "channels 3, and it was 1"),
        (arrays(PIXELS[:, :, :2, :2]), "size 2, and it was 4"),
        (arrays(tests=(PIXELS[:4], LABELS[:4])), "test images of their own were added"),
        (attrs.evolve(arrays(), classes=("a", "b")), "classes a, b, and it was 0, 1"),
    ],
)
def test_what_differs_is_named(data, difference):
    assert record(arrays()).find_difference(data).startswith(difference)


def test_some_images_can_be_compared_instead_of_all():
    only = {"train": np.array([0, 5])}
    assert record(arrays()).find_difference(arrays(changed(4)), only) is None
    assert record(arrays()).find_difference(arrays(changed(5)), only) == "changed: number 5"


@pytest.mark.parametrize("memory", [0, 2048])
def test_files_are_named(tmp_path: Path, memory):
    for number in range(8):
        path = tmp_path / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(PIXELS[number, 0].numpy()).save(path)

    def load():
        return Folder(size=8, channels=1, memory=memory).load(str(tmp_path), None, False)

    before = record(load())
    assert before.find_difference(load()) is None
    Image.fromarray(PIXELS[5, 0].numpy()).save(tmp_path / "a" / "0.png")
    assert before.find_difference(load()) == "changed: a/0.png"
    (tmp_path / "a" / "2.png").rename(tmp_path / "b" / "2.png")
    assert before.find_difference(load()) == "added: b/2.png; removed: a/2.png"


def test_digests_of_splits_tell_images_apart_and_not_their_order():
    whole = record(arrays())
    parts = [np.array(part, np.int64) for part in ([0, 1, 2, 3], [4, 5], [6, 7])]
    splits = whole.split_digests(Splits(*parts, "train"))
    flipped = record(arrays(PIXELS.flip(0), LABELS[::-1]))
    assert splits == flipped.split_digests(Splits(*(7 - part for part in parts), "train"))
    assert whole.digest() != flipped.digest()
    other = whole.split_digests(Splits(parts[0], parts[2], parts[1], "train"))
    assert [name for name in splits if splits[name] != other[name]] == ["validation", "test"]
    # Test images of their own are told by content as well.
    separate = record(arrays(PIXELS[:6], LABELS[:6], (PIXELS[6:], LABELS[6:])))
    assert separate.split_digests(Splits(parts[0], parts[1], np.array([0, 1]), "test")) == splits


@pytest.mark.parametrize("damage", [{"train": None}, {"mean": None}, {"classes": 3}])
def test_a_damaged_record_is_refused(damage):
    with pytest.raises(InputError, match="record of the images is damaged"):
        DataRecord.from_dict(record(arrays()).to_dict() | damage)
    entries = record(arrays()).to_dict()
    entries["train"]["digests"] = entries["train"]["digests"][:-1]
    with pytest.raises(InputError, match="lists are of different lengths"):
        DataRecord.from_dict(entries)
