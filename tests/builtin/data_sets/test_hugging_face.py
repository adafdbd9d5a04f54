"""Data sets of the library `datasets`, all of them made here: nothing is fetched."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nasplug.builtin.data_sets.folder import Folder
from nasplug.builtin.data_sets.hugging_face import HuggingFace
from nasplug.data.file_images import FileImages
from nasplug.errors import InputError

datasets = pytest.importorskip("datasets")
pa = pytest.importorskip("pyarrow")

SIDE = 8
QUARTER = np.ones((SIDE // 2, SIDE // 2))
CLASSES = ["zebra", "ant"]


@pytest.fixture(autouse=True)
def quiet(tmp_path_factory, monkeypatch):
    """A cache for these tests alone, and no progress bars from the fixtures."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("hf"))
    datasets.disable_progress_bars()


def encode(value: int, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (SIDE, SIDE), value).save(stream, kind, **options)
    return stream.getvalue()


def make_table(values: range, labels=CLASSES, label="label", **columns):
    """Images of one grey each, of the two classes in turn, beside other columns."""
    entries = {
        "id": [f"number {value}" for value in values],
        "image": [{"bytes": encode(value), "path": None} for value in values],
        label: [value % 2 for value in values],
    }
    kinds = {"id": datasets.Value("string"), "image": datasets.Image(), label: datasets.ClassLabel(names=labels)}
    return datasets.Dataset.from_dict(entries | columns, features=datasets.Features(kinds))


def load(path: object, **options):
    settings = {"size": SIDE, "channels": 1} | options
    return HuggingFace(**settings).load(str(path), None, False)


def pairs(images) -> list[tuple[int, int]]:
    levels = images.read(range(len(images)))[:, 0, 0, 0].tolist()
    return sorted(zip(levels, images.labels.tolist(), strict=True))


def expected(values: range) -> list[tuple[int, int]]:
    return [(value, value % 2) for value in values]


@pytest.fixture
def saved(tmp_path) -> Path:
    splits = {"train": make_table(range(8)), "validation": make_table(range(20, 24)), "test": make_table(range(30, 34))}
    datasets.DatasetDict(splits | {"unsupervised": make_table(range(2))}).save_to_disk(tmp_path / "saved")
    return tmp_path / "saved"


@pytest.mark.parametrize("memory", [0, 2048])
def test_splits_and_the_order_of_classes_are_those_of_the_data_set(saved, memory):
    data = load(saved, memory=memory)
    assert isinstance(data.train, FileImages) == (memory == 0)
    assert data.classes == ("zebra", "ant")
    assert pairs(data.train) == expected(range(8)) + expected(range(20, 24))
    assert [data.train.names[index] for index in data.validation] == [f"validation[{row}]" for row in (0, 2, 1, 3)]
    assert pairs(data.test) == expected(range(30, 34))
    assert data.notes == (f"Passed over in '{saved}': splits: 'unsupervised'.",)
    without = load(saved, own_validation=False)
    assert (len(without.train), without.validation) == (8, None)


def test_a_single_table_is_for_training(tmp_path):
    make_table(range(6)).save_to_disk(tmp_path / "saved")
    make_table(range(6)).to_parquet(tmp_path / "parquet" / "train.parquet")
    for place in ("saved", "parquet", "parquet/train.parquet"):
        data = load(tmp_path / place)
        assert (pairs(data.train), data.validation, data.test) == (expected(range(6)), None, None)
        assert data.classes == ("zebra", "ant")


def test_a_folder_of_files_is_read_as_the_data_set_of_folders_reads_it(tmp_path):
    for split, start in (("train", 0), ("val", 20), ("test", 40)):
        for number in range(start, start + 6):
            path = tmp_path / "photos" / split / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(number))
    ours, theirs = (
        cls(size=SIDE, channels=1).load(str(tmp_path / "photos"), None, False) for cls in (HuggingFace, Folder)
    )
    assert (ours.classes, pairs(ours.train), pairs(ours.test)) == (
        theirs.classes,
        pairs(theirs.train),
        pairs(theirs.test),
    )
    assert ours.validation.tolist() == theirs.validation.tolist()
    assert ours.train.digests(range(12)) == theirs.train.digests(range(12))
    assert ours.train.names[0].split() == ["train[0]", "train/a/0.png"]


def test_images_are_decoded_as_files_are(tmp_path):
    upside_down = Image.fromarray(np.kron([[10, 10], [200, 200]], QUARTER).astype(np.uint8))
    exif = upside_down.getexif()
    exif[0x0112] = 3
    stream = io.BytesIO()
    upside_down.save(stream, "PNG", exif=exif)
    deep = io.BytesIO()
    Image.fromarray(np.kron([[0, 1023], [512, 4095]], QUARTER).astype(np.uint16)).save(deep, "PNG")
    clear = io.BytesIO()
    Image.new("RGBA", (SIDE, SIDE)).save(clear, "PNG")
    contents = [stream.getvalue(), deep.getvalue(), clear.getvalue(), encode(7, "TIFF")]
    table = datasets.Dataset.from_dict(
        {"image": [{"bytes": content, "path": None} for content in contents], "label": ["a", "b", "c", "d"]},
        features=datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")}),
    )
    table.save_to_disk(tmp_path / "saved")
    data = load(tmp_path / "saved")
    assert data.bits == 12
    assert data.train.read(range(4))[:, 0, 1::4, 1::4].tolist() == [
        [[200, 200], [10, 10]],
        [[0, 1023 * 255 // 4095], [512 * 255 // 4095, 255]],
        [[255, 255], [255, 255]],
        [[7, 7], [7, 7]],
    ]
    assert len(data.train.notes) == 2


@pytest.mark.parametrize(("labels", "classes"), [([10, 9, 10, 9], ("9", "10")), (list("baba"), ("a", "b"))])
def test_labels_without_declared_classes(tmp_path, labels, classes):
    table = make_table(range(4)).remove_columns("label").add_column("labels", labels)
    table.save_to_disk(tmp_path / "saved")
    data = load(tmp_path / "saved")
    assert data.classes == classes
    assert pairs(data.train) == [(0, 1), (1, 0), (2, 1), (3, 0)]


def test_a_table_of_another_program_has_bytes_and_paths(tmp_path):
    pandas = pytest.importorskip("pandas")
    images = [{"bytes": encode(value), "path": f"{value}.png"} for value in range(4)]
    pandas.DataFrame({"image": images, "label": list("abab")}).to_parquet(tmp_path / "table.parquet")
    data = load(tmp_path / "table.parquet")
    assert pairs(data.train) == expected(range(4))
    assert data.train.names == ("train[0] 0.png", "train[2] 2.png", "train[1] 1.png", "train[3] 3.png")


def test_columns_that_are_not_clear_are_named(tmp_path):
    table = make_table(range(4), label="fine").add_column("coarse", [0, 1, 0, 1])
    table = table.cast_column("coarse", datasets.ClassLabel(names=["x", "y"]))
    table.save_to_disk(tmp_path / "saved")
    with pytest.raises(
        InputError,
        match=r"has the label is not clear: fine and coarse may be it; name it with data.label=COLUMN; its columns "
        r"are: id \(string\), image \(Image\), fine \(ClassLabel\), coarse \(ClassLabel\)\.$",
    ):
        load(tmp_path / "saved")
    assert load(tmp_path / "saved", label="coarse").classes == ("x", "y")
    assert load(tmp_path / "saved", label="id").classes == tuple(f"number {value}" for value in range(4))
    for options, message in (
        ({"label": "none"}, "data.label=none names no column"),
        ({"label": "image"}, "'image' of .* has no single labels"),
        ({"label": "fine", "image": "coarse"}, "'coarse' of .* holds no images"),
        ({"label": "fine", "config": "small"}, "has one configuration, but data.config=small"),
    ):
        with pytest.raises(InputError, match=message):
            load(tmp_path / "saved", **options)


def test_a_split_without_labels_is_passed_over_and_single_images_without_one_are_refused(tmp_path):
    splits = {"train": make_table(range(8)), "test": make_table(range(4)).remove_columns("label")}
    kind = datasets.ClassLabel(names=CLASSES)
    splits["test"] = splits["test"].add_column("label", [-1] * 4).cast_column("label", kind)
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
    data = load(tmp_path / "saved")
    assert (len(data.train), data.test) == (8, None)
    assert data.notes == ("The split 'test' has no labels, and was passed over.",)
    partly = make_table(range(4)).remove_columns("label").add_column("label", ["a", None, "b", None])
    partly.save_to_disk(tmp_path / "partly")
    with pytest.raises(InputError, match=r"2 of 4 images of the split 'train' .* \(first: train\[1\]\)"):
        load(tmp_path / "partly")


@pytest.mark.parametrize("value", [-2, 2])
def test_labels_that_stand_for_no_class_are_refused(tmp_path, value):
    table = make_table(range(8)).with_format("arrow").to_dict()
    table["label"][3] = value
    features = make_table(range(1)).features
    arrays = {name: pa.array(table[name]) for name in ("id", "label")}
    images = pa.array(table["image"], features.arrow_schema.field("image").type)
    rows = pa.table({**arrays, "image": images}).select(features.arrow_schema.names).cast(features.arrow_schema)
    datasets.Dataset(rows).save_to_disk(tmp_path / "saved")
    with pytest.raises(
        InputError,
        match=rf"1 of 8 images of the split 'train' .* 'label' .*\(first: row 3, {value}\); 2 classes .* from 0 to 1,",
    ):
        load(tmp_path / "saved")


def test_damaged_cells_are_named_or_left_out(tmp_path):
    table = make_table(range(6)).cast_column("image", datasets.Image(decode=False)).to_dict()
    table["image"][2] = {"bytes": b"no image", "path": None}
    table["image"][5] = None
    features = make_table(range(1)).features
    datasets.Dataset.from_dict(table, features=features).save_to_disk(tmp_path / "saved")
    with pytest.raises(InputError, match=r"cannot be read: train\[2\] \(it is empty, .*train\[5\] \(its cell is empty"):
        load(tmp_path / "saved")
    data = load(tmp_path / "saved", skip_damaged=True)
    assert pairs(data.train) == [(0, 0), (1, 1), (3, 1), (4, 0)]
    assert data.skipped == ("train[2]", "train[5]")


def test_nothing_is_fetched_unless_asked_for(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("socket.socket.connect", refuse)
    with pytest.raises(
        InputError, match=r"'somebody/nothing' cannot be loaded .*; name a path that is there, or add --d"
    ):
        load("somebody/nothing")


def test_what_is_no_data_set_is_refused(tmp_path, saved):
    (tmp_path / "table.csv").write_text("a,b\n")
    (tmp_path / "empty").mkdir()
    datasets.DatasetDict({"test": make_table(range(4))}).save_to_disk(tmp_path / "tests")
    for name in saved.rglob("*.arrow"):
        name.write_bytes(b"")
    for place, message in (
        ("", "needs a path or a name, but none was given"),
        (tmp_path / "table.csv", "is no table of images; name a file .parquet or .arrow, or a folder"),
        (tmp_path / "empty", "empty' cannot be loaded .*; check it"),
        (tmp_path / "tests", "needs a split for training, but its splits are: test; rename"),
        (saved, "saved' cannot be loaded .*; check it"),
    ):
        with pytest.raises(InputError, match=message):
            load(place)


def test_without_the_library_it_is_said_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"need the package datasets, .*: pip install 'nasplug\[hf\]'\.$"):
        load(tmp_path)
