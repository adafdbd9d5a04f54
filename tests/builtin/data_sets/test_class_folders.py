"""Which files of a folder are read, and what is said of all others."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from nasplug.builtin.data_sets.folder import Folder
from nasplug.data.image_folders import image_suffixes
from nasplug.errors import InputError


def paint(path: Path, level: int = 9, kind: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 6), (level, level, level)).save(path, kind)


def load(path: Path, **options):
    return Folder(size=8, **options).load(str(path), None, False)


@pytest.fixture
def pets(tmp_path) -> Path:
    for name in ("cat", "dog"):
        for number in range(2):
            paint(tmp_path / "pets" / name / f"{number}.png", number)
    return tmp_path / "pets"


def test_suffixes_are_those_that_pillow_reads_as_pixels():
    assert {".jpg", ".jfif", ".jpe", ".JPG".lower(), ".png", ".webp", ".tif", ".bmp", ".pgm"} <= image_suffixes()
    assert not {".pdf", ".eps", ".ps", ".mpg", ".h5", ".wmf", ".txt"} & image_suffixes()


def test_every_format_of_pixels_is_read_and_the_rest_is_counted(pets):
    paint(pets / "cat" / "x.jfif", kind="JPEG")
    paint(pets / "cat" / "y.JPE", kind="JPEG")
    for name in ("notes.txt", "old.TXT", "deep.heic", ".hidden.png", "README"):
        (pets / "dog" / name).write_text("no image")
    paint(pets / "loose.png")
    (pets / "cat" / ".thumbnails").mkdir()
    (pets / "__MACOSX").mkdir()
    data = load(pets)
    assert len(data.train) == 6
    assert data.notes == (
        f"Passed over in '{pets}': files: 1 .heic, 2 .txt, 1 hidden, 1 images in no class folder, 1 without a suffix; "
        f"folders: '__MACOSX', 'cat/.thumbnails'.",
    )


def test_a_folder_of_nothing_but_images_needs_no_note(pets):
    assert load(pets).notes == ()


def test_images_within_folders_of_a_class_belong_to_it(pets):
    paint(pets / "cat" / "2020" / "may" / "x.png")
    data = load(pets)
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1]
    assert data.train.names == ("cat/0.png", "cat/1.png", "cat/2020/may/x.png", "dog/0.png", "dog/1.png")
    assert "1 image in folders within class folders belong" in data.notes[0]


def test_a_folder_one_level_too_high_is_refused(pets, tmp_path):
    pets.rename(tmp_path / "first")
    for name in ("cat", "dog"):
        paint(tmp_path / "second" / name / "0.png")
    with pytest.raises(InputError, match=r"hold no images themselves, only folders with images, such as .*first/cat"):
        load(tmp_path)


def test_a_link_to_a_folder_is_named_and_a_link_to_nothing_is_an_image_that_cannot_be_read(pets):
    (pets / "cat" / "loop").symlink_to(pets)
    assert "folders: 'cat/loop'" in load(pets).notes[0]
    (pets / "cat" / "gone.png").symlink_to(pets / "nowhere.png")
    with pytest.raises(InputError, match=r"gone\.png cannot be read \(No such file"):
        load(pets)


def test_what_is_no_regular_file_is_not_opened(pets):
    os.mkfifo(pets / "cat" / "pipe.png")
    assert "1 no regular files" in load(pets).notes[0]


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [("Train", "Val", "Test"), ("training", "VALID", "testing"), ("train_set", "dev-set", "Test Images")],
)
def test_folders_of_splits_have_several_names(tmp_path, train, validation, test):
    for name in (train, validation, test):
        for label in ("cat", "dog"):
            paint(tmp_path / name / label / f"{name}.png")
    for name in ("eval", "holdout"):  # for validation or for the test, who knows
        paint(tmp_path / name / "cat" / "0.png")
    data = load(tmp_path)
    own = [f"{name}/{label}/{name}.png" for name in (train, validation) for label in ("cat", "dog")]
    assert data.train.names == tuple(own)
    assert data.train.labels.tolist() == [0, 1, 0, 1]
    assert data.validation.tolist() == [2, 3]
    assert data.test.names == (f"{test}/cat/{test}.png", f"{test}/dog/{test}.png")
    assert data.notes == (f"Passed over in '{tmp_path}': folders: 'eval', 'holdout'.",)


def test_a_folder_for_validation_needs_none_for_the_test_and_can_be_passed_over(tmp_path):
    for name in ("train", "val"):
        for label in ("cat", "dog"):
            paint(tmp_path / name / label / "0.png")
    data = load(tmp_path)
    assert (data.test, data.validation.tolist()) == (None, [2, 3])
    data = load(tmp_path, own_validation=False)
    assert (data.test, data.validation, len(data.train)) == (None, None, 2)
    assert data.notes == (f"Passed over in '{tmp_path}': folders: 'val'.",)


def test_two_folders_for_training_are_refused(tmp_path):
    for name in ("train", "training"):
        for label in ("cat", "dog"):
            paint(tmp_path / name / label / "0.png")
    with pytest.raises(InputError, match="has 'train' and 'training'; keep one of them"):
        load(tmp_path)


def test_train_and_test_are_not_taken_for_classes(tmp_path):
    for name in ("train", "test"):
        paint(tmp_path / name / "0.png")
    with pytest.raises(InputError, match="has 'test' and 'train', but they hold no class folders"):
        load(tmp_path)


def test_names_of_classes_that_differ_only_in_how_accents_are_encoded_are_refused(pets):
    for form in ("NFC", "NFD"):
        paint(pets / unicodedata.normalize(form, "café") / "0.png")
    with pytest.raises(InputError, match="two class folders 'café', whose names differ only in how"):
        load(pets)


def test_a_class_is_the_same_in_train_and_test_however_its_accents_are_encoded(tmp_path):
    for split, form in (("train", "NFC"), ("test", "NFD")):
        for label in ("café", "pub"):
            paint(tmp_path / split / unicodedata.normalize(form, label) / "0.png")
    assert load(tmp_path).classes == ("café", "pub")
