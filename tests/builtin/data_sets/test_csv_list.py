from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from nasplug.builtin.data_sets.csv_list import CsvList
from nasplug.builtin.data_sets.folder import Folder
from nasplug.errors import InputError


@pytest.fixture
def photos(tmp_path) -> Path:
    for name in ("cat", "dog"):
        for number in range(4):
            file = tmp_path / "photos" / name / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (6, 6), 10 * number + (100 if name == "dog" else 0)).save(file)
    return tmp_path / "photos"


def write(photos: Path, *lines: str, name: str = "list.csv", encoding: str = "utf-8") -> Path:
    table = photos / name
    table.write_text("\n".join(lines) + "\n", encoding=encoding)
    return table


def load(table: Path, **options):
    return CsvList(**{"channels": 1, "size": 8, **options}).load(str(table), None, False)


def levels(images) -> list[int]:
    return images.read(range(len(images)))[:, 0, 0, 0].tolist()


def all_rows(photos: Path) -> list[str]:
    return [f"{file.relative_to(photos).as_posix()},{file.parent.name}" for file in sorted(photos.glob("*/*.png"))]


def test_a_table_of_class_folders_is_read_as_the_folders_are(photos):
    ours = load(write(photos, "path,label", *reversed(all_rows(photos))), size=8)
    theirs = Folder(channels=1, size=8).load(str(photos), None, False)
    assert (ours.classes, ours.test, ours.size, ours.bits) == (theirs.classes, None, 8, theirs.bits)
    assert sorted(zip(levels(ours.train), ours.train.labels.tolist(), strict=True)) == sorted(
        zip(levels(theirs.train), theirs.train.labels.tolist(), strict=True)
    )


def test_splits_are_told_apart(photos):
    table = write(
        photos,
        *("path,label,split", "cat/0.png,cat,train", "dog/0.png,dog,", "dog/1.png,dog,Training"),
        *("cat/1.png,cat,test", "cat/2.png,cat,val", "dog/2.png,dog,validation"),
    )
    data = load(table)
    assert (levels(data.train), data.train.labels.tolist()) == ([0, 100, 110, 20, 120], [0, 1, 1, 0, 1])
    assert data.validation.tolist() == [3, 4]
    assert (levels(data.test), data.test.labels.tolist()) == ([10], [0])
    assert data.notes == ()
    data = load(table, own_validation=False)
    assert (levels(data.train), data.validation) == ([0, 100, 110], None)
    assert data.notes == (
        "2 images of the split validation were passed over (data.own_validation=false); validation images are drawn "
        "from the training images.",
    )


@pytest.mark.parametrize(("delimiter", "encoding"), [(",", "utf-8"), (";", "utf-8-sig"), ("\t", "utf-8")])
def test_columns_are_found_by_name_whatever_separates_them(photos, delimiter, encoding):
    lines = ["Label, id ,PATH", " cat ,7,cat/1.png", "", "dog,8,dog/1.png"]
    data = load(write(photos, *(line.replace(",", delimiter) for line in lines), encoding=encoding))
    assert (data.classes, levels(data.train)) == (("cat", "dog"), [10, 110])


def test_values_that_hold_the_separator_are_quoted(photos):
    (photos / "cat" / "0.png").rename(photos / "a, b.png")
    data = load(write(photos, "path,label", '"a, b.png","cat, black"', "dog/1.png,dog"))
    assert (data.classes, levels(data.train)) == (("cat, black", "dog"), [0, 110])


def test_numbers_are_classes_in_the_order_of_numbers(photos):
    data = load(write(photos, "path,label", "cat/0.png,10", "cat/1.png,9", "cat/2.png,0"))
    assert data.classes == ("0", "9", "10")
    assert levels(data.train) == [20, 10, 0]


def test_paths_may_lead_out_of_the_folder_of_the_table(photos, tmp_path):
    table = write(tmp_path, "path,label", f"{photos / 'cat' / '0.png'},cat", "photos/../photos/dog/0.png,dog")
    data = load(table)
    assert levels(data.train) == [0, 100]


def test_a_table_named_by_a_relative_path_gives_images_the_names_that_they_have_elsewhere(
    photos, tmp_path, monkeypatch
):
    (tmp_path / "here" / "new").mkdir(parents=True)
    Image.new("L", (6, 6), 7).save(tmp_path / "here" / "new" / "1.png")
    rows = [f"{photos / 'cat' / '0.png'},cat", "../photos/dog/0.png,dog", "new/1.png,dog"]
    table = write(tmp_path / "here", "path,label", *rows)
    monkeypatch.chdir(table.parent)
    relative, absolute = load(Path("list.csv")), load(table)
    assert levels(relative.train) == levels(absolute.train)
    assert relative.train.names == absolute.train.names


def test_an_image_that_is_named_twice_is_taken_once(photos):
    data = load(write(photos, "path,label", "cat/0.png,cat", "./cat/0.png,cat", "dog/0.png,dog"))
    assert levels(data.train) == [0, 100]
    assert "1 images are named more than once and were taken once" in data.notes[0]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["file,label", "cat/0.png,cat"], "must have one column 'path' .* its columns are: file, label"),
        (["path,label,path", "cat/0.png,cat,cat/0.png"], "must have one column 'path'"),
        ([""], "its columns are: none"),
        (["path,label"], "names no training images"),
        (["path,label", "cat/0.png,cat"], "at least two classes, but it has only 'cat'"),
        (["path,label", "cat/0.png,", "dog/0.png,dog"], "Line 2 of .* has no label"),
        (["path,label", "cat/0.png,cat", ",dog"], "Line 3 of .* has no path"),
        (["path,label", "cat/0.png,cat,train"], "Line 2 of .* has 3 values, but the header names 2"),
        (["path,label,split", "cat/0.png,cat,holdout"], "Line 2 of .* names the split 'holdout'; known: dev, test"),
        (["path,label", "cat/9.png,cat", "eel,eel", "dog/0.png,dog"], r"names 2 of 3 images .*9.png \(line 2\), .*eel"),
        (["path,label", "cat/0.png,cat", "cat/0.png,dog"], "Lines 2 and 3 of .* name the same image"),
        (["path,label,split", "cat/0.png,cat,train", "cat/0.png,cat,test"], "name the same image"),
        (
            ["path,label,split", "cat/0.png,cat,", "dog/0.png,dog,", "dog/1.png,eel,test"],
            "Line 4 of .* is a test image of the class 'eel'",
        ),
        (
            ["path,label,split", "cat/0.png,cat,", "dog/0.png,dog,", "dog/1.png,eel,val"],
            "Line 4 of .* is a validation image of the class 'eel'",
        ),
        (["path,label", '"cat/0.png,cat'], "cannot be read as a table"),
    ],
)
def test_what_is_wrong_in_a_table_is_said_with_its_line(photos, lines, sentence):
    with pytest.raises(InputError, match=sentence):
        load(write(photos, *lines))


def test_files_that_are_no_tables_are_refused(photos):
    with pytest.raises(InputError, match="There is no file"):
        load(photos / "none.csv")
    with pytest.raises(InputError, match="There is no file"):
        load(photos)
    with pytest.raises(InputError, match="cannot be read as a table"):
        load(photos / "cat" / "0.png")
    with pytest.raises(InputError, match="must be text in UTF-8"):
        load(write(photos, "path,label", "cät.png,cat", encoding="latin-1"))
    with pytest.raises(InputError, match="needs a table, but none was named"):
        CsvList().load("", None, False)


def test_nothing_is_asked_of_validation_images_that_are_passed_over(photos):
    lines = ["path,label,split", "cat/0.png,cat,", "dog/0.png,dog,", "none.png,cat,val", "cat/0.png,cat,val"]
    data = load(write(photos, *lines), own_validation=False)
    assert levels(data.train) == [0, 100]
    assert data.notes[0].startswith("2 images of the split validation were passed over")
    assert data.skipped == ()


def test_labels_of_thousands_of_digits_are_sorted_as_numbers(photos):
    long = "1" * 5000
    data = load(write(photos, "path,label", f"cat/0.png,{long}", "cat/1.png,20", "dog/0.png,3", "dog/1.png,03"))
    assert data.classes == ("03", "3", "20", long)


def test_lines_without_an_image_are_left_out_on_request(photos):
    os.mkfifo(photos / "cat" / "pipe.png")
    (photos / "cat" / "1.png").write_bytes(b"")
    lines = ["path,label", *all_rows(photos)[:2], "cat/9.png,cat", "cat,cat", "cat/pipe.png,cat", "dog/0.png,dog"]
    with pytest.raises(InputError, match=r"names 3 of 6 images that are no files: .* data.skip_damaged=true leaves"):
        load(write(photos, *lines))
    data = load(write(photos, *lines), skip_damaged=True)
    assert data.train.names == ("cat/0.png", "dog/0.png")
    assert data.notes == (
        f"4 images that cannot be read were left out (data.skip_damaged): {photos}/cat/9.png (no such file, line 4), "
        f"{photos}/cat (a folder, line 5), {photos}/cat/pipe.png (a device or pipe, line 6), {photos}/cat/1.png (it is "
        f"empty, damaged or no image).",
    )
    assert len(data.skipped) == 4
    for lines, bare in (
        (["cat/8.png,cat,", "dog/9.png,dog,"], "class 'cat' has no training images"),
        (["cat/0.png,cat,", "dog/9.png,dog,"], "class 'dog' has no training images"),
        (["cat/0.png,cat,", "dog/0.png,dog,", "dog/9.png,dog,test"], "there are no test images"),
    ):
        with pytest.raises(InputError, match=f"Without the images that cannot be read, {bare}: .*no such file"):
            load(write(photos, "path,label,split", *lines), skip_damaged=True)
