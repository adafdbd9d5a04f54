from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nasplug.builtin.data_sets.folder import Folder
from nasplug.data.file_images import FileImages
from nasplug.data.images import MemoryImages
from nasplug.errors import InputError


def paint(path: Path, level: int, size: tuple[int, int] = (6, 6), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, level if mode in ("L", "P") else (level,) * len(mode)).save(path)


@pytest.fixture
def pets(tmp_path) -> Path:
    for place, name in enumerate(("cat", "dog", "eel")):
        for number in range(3):
            paint(tmp_path / "pets" / name / f"{number}.png", 50 * place + number)
    return tmp_path / "pets"


def load(path: Path, **options):
    return Folder(**options).load(str(path), None, False)


def levels(images) -> list[int]:
    return images.read(range(len(images)))[:, 0, 0, 0].tolist()


def test_class_folders_are_read_in_alphabetical_order(pets):
    data = load(pets, size=8)
    assert data.classes == ("cat", "dog", "eel")
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert levels(data.train) == [0, 1, 2, 50, 51, 52, 100, 101, 102]
    assert (data.size, data.channels, data.test, data.flips, data.shift) == (8, 3, None, True, 1)
    assert data.train.read([0]).shape == (1, 3, 8, 8)


def test_train_and_test_folders_are_told_apart(pets, tmp_path):
    whole = tmp_path / "whole"
    whole.mkdir()
    pets.rename(whole / "train")
    for name in ("cat", "dog", "eel"):
        paint(whole / "test" / name / "x.jpg", 200)
        paint(whole / "val" / name / "y.png", 250)
    data = load(whole)
    assert levels(data.train) == [0, 1, 2, 50, 51, 52, 100, 101, 102, 250, 250, 250]
    assert data.validation.tolist() == [9, 10, 11]
    assert levels(data.test) == [200, 200, 200]
    assert data.test.labels.tolist() == [0, 1, 2]


def test_a_class_may_be_called_train(tmp_path):
    for name in ("bus", "train"):
        paint(tmp_path / name / "a.png", 9)
    assert load(tmp_path).classes == ("bus", "train")


def test_what_is_no_image_or_hidden_is_passed_over(pets):
    (pets / "cat" / "notes.txt").write_text("a cat")
    (pets / "cat" / "._0.png").write_text("left by a copy")
    (pets / ".cache").mkdir()
    (pets / "__MACOSX").mkdir()
    (pets / "README").write_text("pets")
    assert load(pets).classes == ("cat", "dog", "eel")
    assert len(load(pets).train) == 9


def test_images_beyond_the_memory_option_stay_in_their_files(pets):
    kept, eager = load(pets, size=32, memory=0), load(pets, size=32)
    assert isinstance(kept.train, FileImages)
    assert isinstance(eager.train, MemoryImages)
    assert kept.train.nbytes == eager.train.pixels.nbytes == 9 * 3 * 32 * 32
    assert torch.equal(kept.train.read([8, 0]), eager.train.read([8, 0]))
    assert kept.train.labels.tolist() == eager.train.labels.tolist()


def test_grey_images_and_mirroring_are_options(pets):
    data = load(pets, channels=1, flips=False)
    assert (data.channels, data.flips) == (1, False)
    assert data.train.read([4]).shape == (1, 1, 8, 8)
    with pytest.raises(InputError, match="'channels' cannot be 2"):
        Folder(channels=2)


@pytest.mark.parametrize("memory", [0, 2048])
@pytest.mark.parametrize("damage", [b"", b"no image at all", None])
def test_a_damaged_image_is_named(pets, memory, damage):
    path = pets / "dog" / "1.png"
    paint(path, 3, size=(64, 64))
    path.write_bytes(path.read_bytes()[:60] if damage is None else damage)
    with pytest.raises(InputError, match=r"dog/1\.png cannot be read"):
        load(pets, memory=memory).train.read(range(9))


def test_mistakes_of_layout_are_refused(tmp_path, pets):
    with pytest.raises(InputError, match="none was given; use --data folder:PATH"):
        Folder().load("", None, False)
    with pytest.raises(InputError, match="There is no folder"):
        load(tmp_path / "nothing")
    with pytest.raises(InputError, match="There is no folder"):
        load(pets / "cat" / "0.png")
    with pytest.raises(InputError, match=r"at least two classes, but it has none"):
        load(pets / "cat")
    with pytest.raises(InputError, match=r"at least two classes, but it has only 'pets'"):
        load(tmp_path)
    (pets / "fox").mkdir()
    with pytest.raises(InputError, match=r"pets/fox holds no images"):
        load(pets)


def test_mistakes_of_train_and_test_folders_are_refused(tmp_path):
    for name in ("a", "b"):
        paint(tmp_path / "test" / name / "0.png", 1)
    with pytest.raises(InputError, match="class folders in 'test', but none in 'train'"):
        load(tmp_path)
    for name in ("a", "b", "c"):
        paint(tmp_path / "train" / name / "0.png", 1)
    with pytest.raises(InputError, match=r"test must have the classes of .*train, but they differ in c;"):
        load(tmp_path)
    (tmp_path / "test").rename(tmp_path / "val")
    with pytest.raises(
        InputError,
        match=r"val must have the classes of .*train, .* in c; .*data.own_validation=false passes it over",
    ):
        load(tmp_path)
    (tmp_path / "val").rename(tmp_path / "elsewhere")
    assert load(tmp_path).test is None


@pytest.mark.parametrize("memory", [0, 2048])
def test_damaged_images_are_left_out_on_request(pets, tmp_path, memory):
    for split in ("train", "val", "test"):
        shutil.copytree(pets, tmp_path / "whole" / split)
    damaged = [tmp_path / "whole" / name for name in ("train/cat/1.png", "val/dog/0.png", "test/eel/2.png")]
    for path in damaged:
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match=r"^3 image files cannot be read: .* or start with data.skip_damaged=true"):
        load(tmp_path / "whole")
    data = load(tmp_path / "whole", memory=memory, skip_damaged=True)
    assert levels(data.train) == [0, 2, 50, 51, 52, 100, 101, 102, 0, 1, 2, 51, 52, 100, 101, 102]
    assert data.train.labels[data.validation].tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert levels(data.test) == [0, 1, 2, 50, 51, 52, 100, 101]
    assert sorted(data.skipped) == sorted(map(str, damaged))
    assert data.notes[0].startswith("3 images that cannot be read were left out (data.skip_damaged): ")
    for number in range(3):
        (tmp_path / "whole" / "train" / "dog" / f"{number}.png").write_bytes(b"")
    with pytest.raises(InputError, match="Without the images that cannot be read, class 'dog' has no training images"):
        load(tmp_path / "whole", memory=memory, skip_damaged=True)


def test_what_is_left_decides_how_deep_images_are_scaled(pets):
    """A file whose pixels can be read, but whose values are refused, has no say in the bits of the others."""
    values = np.full((4, 4), 1023, np.uint16)
    for name in ("cat/deep.png", "dog/deep.png"):
        Image.fromarray(values).save(pets / name)
    Image.fromarray(np.array([[-1, 9000]], np.int32)).save(pets / "eel" / "wrong.tif")
    data = load(pets, skip_damaged=True, channels=1)
    assert (data.bits, len(data.skipped)) == (10, 1)
    assert data.train.read([3]).unique().tolist() == [255]
