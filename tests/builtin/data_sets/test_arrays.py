from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from nasplug.builtin.data_sets.arrays import Arrays
from nasplug.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 2, 1, 0])


def load(tmp_path, classes=None, drop=(), **changes):
    arrays = {"images": IMAGES, "labels": LABELS} | changes
    metadata = None if classes is None else {"classes": classes if isinstance(classes, str) else json.dumps(classes)}
    path = tmp_path / "set.safetensors"
    save_file({name: array for name, array in arrays.items() if name not in drop}, path, metadata)
    return Arrays().load(str(path), None, False)


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8, np.uint16, np.uint32, np.uint64])
def test_arrays_are_read_as_they_were_written(tmp_path, kind):
    data = load(tmp_path, labels=LABELS.astype(kind))
    assert (data.size, data.channels, data.classes, data.test) == (8, 3, ("0", "1", "2"), None)
    np.testing.assert_array_equal(data.train.read([4, 1]).numpy(), IMAGES[[4, 1]].transpose(0, 3, 1, 2))
    assert data.train.labels.dtype == np.int64
    assert data.train.labels.tolist() == LABELS.tolist()


def test_test_images_and_class_names_are_taken(tmp_path):
    data = load(tmp_path, ["a", "b", "c"], test_images=IMAGES[:2], test_labels=np.array([2, 2]))
    assert data.classes == ("a", "b", "c")
    assert data.test.labels.tolist() == [2, 2]
    np.testing.assert_array_equal(data.test.read([1]).numpy(), IMAGES[1:2].transpose(0, 3, 1, 2))


@pytest.mark.parametrize("tests", [False, True])
def test_validation_images_are_taken(tmp_path, tests):
    own = {"validation_images": IMAGES[3:5], "validation_labels": np.array([1, 0], np.uint8)}
    data = load(tmp_path, **own, **({"test_images": IMAGES[:2], "test_labels": np.array([2, 2])} if tests else {}))
    assert (data.test is not None) == tests
    assert data.validation.tolist() == [6, 7]
    assert data.train.labels.tolist() == [*LABELS.tolist(), 1, 0]
    expected = np.concatenate([IMAGES, IMAGES[3:5]]).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(data.train.read(range(8)).numpy(), expected)
    with pytest.raises(InputError, match=r"'validation_labels' of .* must lie between 0 and 2, .* is 3"):
        load(tmp_path, **own | {"validation_labels": np.array([1, 3])})
    with pytest.raises(InputError, match="holds no array 'validation_labels'"):
        load(tmp_path, **own, drop=["validation_labels"])


def test_whether_mirror_images_are_made_is_an_option(tmp_path):
    assert load(tmp_path).flips
    assert not Arrays(flips=False).load(str(tmp_path / "set.safetensors"), None, False).flips


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": IMAGES.astype(np.float32)}, r"'images' .* must be uint8 .* float32 \(6, 8, 8, 3\)"),
        ({"images": IMAGES[..., 0].copy()}, r"must be uint8 of shape \(N, H, W, C\)"),
        ({"images": IMAGES[..., :2].copy()}, r"with C 1 or 3, but they are uint8 \(6, 8, 8, 2\)"),
        ({"images": IMAGES[:, :6].copy()}, r"must be square, but they are uint8 \(6, 6, 8, 3\)"),
        ({"labels": LABELS.astype(np.float64)}, r"'labels' .* whole numbers \(N,\), but they are float64"),
        ({"labels": LABELS[:, None].copy()}, r"whole numbers \(N,\), but they are int64 \(6, 1\)"),
        ({"labels": LABELS[:5].copy()}, r"6 'images' and 5 'labels'"),
        ({"images": IMAGES[:0].copy(), "labels": LABELS[:0].copy()}, r"at least one image"),
        ({"labels": np.array([0, 1, 1, -1, -1, 0])}, r"labels\[3\] is -1 \(2 in all"),
        ({"labels": np.array([0, 1, 3, 3, 1, 0])}, r"between 0 and 2, for 3 classes, but labels\[2\] is 3"),
        ({"labels": np.array([0, 1, 10**15, 0, 1, 0])}, r"labels\[2\] is 1000000000000000"),
        ({"labels": np.array([0, 1, 2**64 - 1, 0, 1, 0], np.uint64)}, r"labels\[2\] is -1"),
        ({"labels": np.array(1)}, r"whole numbers \(N,\), but they are int64 \(\)"),
        ({"images": np.array(1, np.uint8)}, r"must be uint8 of shape \(N, H, W, C\).*uint8 \(\)"),
        ({"images": np.zeros((6, 0, 0, 3), np.uint8)}, r"must be square, but they are uint8 \(6, 0, 0, 3\)"),
        ({"classes": "[" * 10_000}, r"is not JSON"),
        ({"labels": LABELS * 0}, r"at least two different classes, but it has \['0'\]"),
        ({"classes": ["a", "b"]}, r"between 0 and 1, for 2 classes, but labels\[2\] is 2 \(2 in all"),
        ({"classes": ["a", "b", "c", "d"]}, r"each of the 4 classes, but none is 3 \(class 'd'\)"),
        ({"classes": ["a", "b", "a"]}, r"at least two different classes"),
        ({"classes": "[1, 2"}, r"is not JSON"),
        ({"classes": {"a": 0}}, r"JSON list of names, but it is \{'a': 0\}"),
        ({"classes": [1, 2, 3]}, r"JSON list of names"),
        ({"drop": ["labels"]}, r"no array 'labels'; it holds \['images'\]"),
        ({"test_images": IMAGES}, r"no array 'test_labels'"),
        ({"test_labels": LABELS}, r"no array 'test_images'"),
        ({"test_image": IMAGES}, r"an array 'test_image', which has no meaning"),
        ({"test_images": IMAGES, "test_labels": LABELS + 1}, r"test_labels\[2\] is 3"),
        ({"test_images": IMAGES[:, :4, :4].copy(), "test_labels": LABELS}, r"\(6, 4, 4, 3\).* same size and channels"),
    ],
)
def test_arrays_that_make_no_data_set_are_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        load(tmp_path, **changes)


@pytest.mark.parametrize("kind", ["BF16", "F8_E4M3", "F8_E8M0", "F4", "F6_E2M3"])
@pytest.mark.parametrize("array", ["images", "labels"])
def test_types_of_numbers_that_numpy_lacks_are_refused_in_one_sentence(tmp_path, kind, array):
    bits = {"BF16": 16, "F4": 4, "F6_E2M3": 6}.get(kind, 8)
    shape = [8, 8, 8, 3] if array == "images" else [8]
    size = int(np.prod(shape)) * bits // 8
    header = json.dumps({array: {"dtype": kind, "shape": shape, "data_offsets": [0, size]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(size))
    with pytest.raises(InputError) as refused:
        Arrays().load(str(tmp_path / "x.safetensors"), None, False)
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    load(tmp_path)
    path = tmp_path / "set.safetensors"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="damaged or no safetensors file"):
        Arrays().load(str(path), None, False)
    with pytest.raises(InputError, match="There is no file"):
        Arrays().load(str(tmp_path / "other"), None, False)
    with pytest.raises(InputError, match="none was named"):
        Arrays().load("", None, False)
