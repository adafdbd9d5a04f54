"""What `folder` and `csv` have in common: the size of the images, and where they are kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from nasplug.builtin.data_sets import image_files
from nasplug.builtin.data_sets.folder import Folder
from nasplug.data.file_images import FileImages
from nasplug.data.images import MemoryImages
from nasplug.errors import InputError
from nasplug.parts import RandomBoxes


@pytest.fixture
def photos(tmp_path) -> Path:
    """Three classes with images 20 pixels high and 30, 21 and 18 wide."""
    for name in ("cat", "dog", "eel"):
        for width in (30, 21, 18):
            path = tmp_path / "photos" / name / f"{width}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.linear_gradient("L").resize((width, 20)).convert("RGB").save(path)
    return tmp_path / "photos"


def load(path: Path, **options):
    return Folder(**options).load(str(path), None, False)


def test_a_size_that_was_chosen_is_said(photos):
    data = load(photos)
    assert (data.size, data.shift, tuple(data.train.read([0]).shape)) == (20, 2, (1, 3, 20, 20))
    assert data.notes == (
        "Images are scaled to 20 x 20 pixels (data.size; from 8 to 512): the median of their shorter sides is 20.",
    )
    assert load(photos, size=20).notes == ()
    Image.new("RGB", (300, 200)).save(photos / "cat" / "large.png")
    for name in ("cat", "dog", "eel"):
        for number in range(4):
            Image.new("RGB", (300, 200)).save(photos / name / f"large{number}.png")
    assert load(photos).notes[0].endswith("the median of their shorter sides is 200, and larger images take longer.")


@pytest.mark.parametrize("size", [7, 0, 513])
def test_other_sizes_are_refused(size):
    with pytest.raises(InputError, match=r"Option 'size' must be at (least 8|most 512), but it is"):
        Folder(size=size)


@pytest.mark.parametrize(
    ("options", "kind", "has_originals"),
    [
        ({}, MemoryImages, False),
        ({"crops": "square"}, MemoryImages, False),
        ({"crops": "original"}, FileImages, True),
        ({"memory": 0}, FileImages, True),
        ({"memory": 0, "crops": "square"}, FileImages, False),
    ],
)
def test_images_stay_in_files_for_want_of_memory_or_for_their_originals(photos, options, kind, has_originals):
    images = load(photos, **options).train
    assert isinstance(images, kind)
    assert images.has_originals == has_originals


def test_training_and_test_images_share_one_budget_and_one_pool(photos, tmp_path, monkeypatch):
    whole = tmp_path / "whole"
    whole.mkdir()
    photos.rename(whole / "train")
    (whole / "test").symlink_to(whole / "train")
    monkeypatch.setattr(image_files, "start_processes", lambda workers: workers)
    data = load(whole, crops="original", workers=3)
    assert data.train.cache is data.test.cache
    assert data.train.processes == data.test.processes == 3


def test_originals_are_kept_where_there_is_room(photos, monkeypatch):
    boxes = RandomBoxes.sample(9, torch.Generator().manual_seed(0))
    images = load(photos, crops="original", workers=0).train
    first = images.read_crops(range(9), boxes)
    monkeypatch.setattr(Image, "open", None)
    assert torch.equal(images.read_crops(range(9), boxes), first)
