from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from nasplug.builtin.data_sets.arrays import Arrays
from nasplug.builtin.data_sets.mnist1d import Mnist1d
from nasplug.builtin.data_sets.signals import Signals
from nasplug.errors import InputError

VALUES = np.random.default_rng(0).normal(5.0, 90.0, (6, 2, 16)).astype(np.float32)
LABELS = np.array([0, 1, 2, 2, 1, 0])


def write(path: Path, **arrays: np.ndarray) -> str:
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        save_file(arrays, path)
    return str(path)


def load(path: Path, **changes: np.ndarray | None):
    arrays = {"signals": VALUES, "labels": LABELS} | changes
    return Signals().load(write(path, **{name: each for name, each in arrays.items() if each is not None}), None, False)


@pytest.fixture(params=["npz", "safetensors"])
def path(request, tmp_path):
    return tmp_path / f"set.{request.param}"


def test_floats_are_taken_as_they_are(path):
    data = load(path, test_signals=VALUES[:2], test_labels=LABELS[:2])
    assert (data.dims, data.dtype, data.channels, data.size, data.tensor_shape) == (1, "float32", 2, 16, (2, 1, 16))
    assert (data.shift, data.flips, data.classes) == (2, False, ("0", "1", "2"))
    np.testing.assert_array_equal(data.train.read([4, 1]).numpy(), VALUES[[4, 1]][:, :, None])
    np.testing.assert_array_equal(data.test.read([1]).numpy(), VALUES[1:2][:, :, None])


def test_bytes_and_signals_of_one_channel(path):
    values = np.arange(96, dtype=np.uint8).reshape(6, 16)
    data = load(path, signals=values)
    assert (data.dtype, data.tensor_shape) == ("uint8", (1, 1, 16))
    np.testing.assert_array_equal(data.train.read(range(6)).numpy()[:, 0, 0], values)


def test_targets_of_a_regression(path):
    data = load(path, labels=np.linspace(0, 1, 6, dtype=np.float32)[:, None] * 3)
    assert data.task.name == "regression"


def test_names_of_classes_of_an_npz_file_are_text(tmp_path):
    assert load(tmp_path / "set.npz", classes=np.array(["walk", "run", "rest"])).classes == ("walk", "run", "rest")


def test_images_are_read_from_npz_files(tmp_path):
    images = np.random.default_rng(1).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    data = Arrays().load(write(tmp_path / "set.npz", images=images, labels=LABELS), None, False)
    np.testing.assert_array_equal(data.train.read(range(6)).numpy(), images.transpose(0, 3, 1, 2))


def with_gap(kind: float) -> np.ndarray:
    values = VALUES.copy()
    values[3, 1, 5] = kind
    return values


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"signals": with_gap(np.nan)}, r"NaN or infinity in 1 of 6 signals, the first of them number 3"),
        ({"signals": with_gap(-np.inf)}, "NaN or infinity"),
        ({"signals": VALUES.astype(np.float64)}, r"must be uint8 or float32 .* but they are float64 \(6, 2, 16\)"),
        ({"signals": VALUES[:, :, None]}, r"float32 \(6, 2, 1, 16\)"),
        ({"signals": VALUES[:, 0, 0]}, r"float32 \(6,\)"),
        ({"signals": VALUES[:, :, :0]}, r"float32 \(6, 2, 0\)"),
        ({"labels": LABELS[:5]}, "holds 6 'signals' and 5 'labels'"),
        ({"labels": None}, "holds no array 'labels'"),
        ({"test_signals": VALUES[:2, :, :8], "test_labels": LABELS[:2]}, "same size"),
        ({"test_signals": VALUES[:2].astype(np.uint8), "test_labels": LABELS[:2]}, "same size"),
        ({"images": VALUES}, "'images', which has no meaning here"),
    ],
)
def test_what_signals_must_be(path, changes, message):
    with pytest.raises(InputError, match=message):
        load(path, **changes)


class Trap:
    """What runs code when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("it was unpickled",))


def test_pickles_are_never_read(tmp_path):
    path = tmp_path / "set.npz"
    labels = np.array([Trap()] * 6, dtype=object)
    np.savez(path, signals=VALUES, labels=labels, allow_pickle=True)
    with pytest.raises(InputError, match=r"'labels'.* holds no plain numbers"):
        Signals().load(str(path), None, False)
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match="damaged or holds no plain numbers"):
        Signals().load(str(path), None, False)


def test_damaged_and_missing_files(path):
    with pytest.raises(InputError, match=r"There is no file .*; --data signals:FILE needs a safetensors or npz file"):
        Signals().load(str(path), None, False)
    with pytest.raises(InputError, match=r"use --data signals:FILE\.safetensors or signals:FILE\.npz"):
        Signals().load("", None, False)
    whole = Path(write(path, signals=VALUES, labels=LABELS))
    content = whole.read_bytes()
    whole.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="is damaged"):
        Signals().load(str(path), None, False)


def test_classes_that_are_no_json(tmp_path):
    save_file({"signals": VALUES, "labels": LABELS}, tmp_path / "set.safetensors", {"classes": json.dumps("walk")})
    with pytest.raises(InputError, match="must be a JSON list"):
        Signals().load(str(tmp_path / "set.safetensors"), None, False)


def test_mnist1d_is_drawn_alike_every_time():
    pytest.importorskip("mnist1d")
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    data = Mnist1d().load("", None, False)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    assert (len(data.train), len(data.test), data.tensor_shape, data.dtype) == (4000, 1000, (1, 1, 40), "float32")
    assert np.bincount(np.concatenate([data.train.labels, data.test.labels])).tolist() == [500] * 10
    again = Mnist1d().load("", None, False)
    np.testing.assert_array_equal(data.train.pixels.numpy(), again.train.pixels.numpy())
    with pytest.raises(InputError, match="has no location"):
        Mnist1d().load("here", None, False)
