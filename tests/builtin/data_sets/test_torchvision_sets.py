from __future__ import annotations

import hashlib
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

from nasplug.builtin.data_sets.torchvision_sets import Cifar10, Cifar100, FashionMnist
from nasplug.errors import InputError

FOLDERS = {Cifar10: "cifar-10-batches-py", Cifar100: "cifar-100-python", FashionMnist: "FashionMNIST/raw"}


def write_fashion_mnist(root: Path, train: int, test: int) -> tuple[np.ndarray, np.ndarray]:
    """A small Fashion-MNIST in the format of the original; gives back the training images and labels."""
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    written = {}
    for stem, count in (("train", train), ("t10k", test)):
        images = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = generator.integers(0, 10, count, dtype=np.uint8)
        header = struct.pack(">4i", 0x803, count, 28, 28)
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        (folder / f"{stem}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, count) + labels.tobytes())
        written[stem] = (images, labels)
    return written["train"]


def test_fashion_mnist_is_read_as_torchvision_stores_it(tmp_path):
    images, labels = write_fashion_mnist(tmp_path, 20, 6)
    data = FashionMnist().load("", tmp_path, False)
    assert (data.size, data.channels, data.flips, data.shift) == (28, 1, True, 2)
    assert data.classes == tuple(datasets.FashionMNIST.classes)
    np.testing.assert_array_equal(data.train.read(range(20))[:, 0].numpy(), images)
    assert data.train.labels.tolist() == labels.tolist()
    assert len(data.test) == 6


@pytest.mark.parametrize("source", FOLDERS)
def test_missing_data_are_refused_with_both_flags(source, tmp_path):
    with pytest.raises(InputError, match=f"there is no .*{FOLDERS[source]}.* add --download") as refusal:
        source().load("", tmp_path, False)
    assert f"--data-root {tmp_path}" in str(refusal.value)


@pytest.mark.parametrize("source", FOLDERS)
def test_without_a_data_root_the_flag_is_asked_for(source):
    with pytest.raises(InputError, match=r"give --data-root FOLDER, and --download"):
        source().load("", None, False)


@pytest.mark.parametrize("source", FOLDERS)
def test_a_location_is_refused(source, tmp_path):
    with pytest.raises(InputError, match="has no location, but 'x' was given"):
        source().load("x", tmp_path, False)


def test_damaged_files_are_refused(tmp_path):
    write_fashion_mnist(tmp_path, 20, 6)
    file = tmp_path / "FashionMNIST" / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(InputError, match="incomplete or damaged"):
        FashionMnist().load("", tmp_path, False)


@pytest.fixture
def small_cifar10(tmp_path, monkeypatch) -> Path:
    """Two images in each file of CIFAR-10, with published checksums to match."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    generator = np.random.default_rng(0)

    def write(name: str, entries: dict) -> str:
        content = pickle.dumps(entries)
        (folder / name).write_bytes(content)
        return hashlib.md5(content, usedforsecurity=False).hexdigest()

    def batch(name: str) -> list[str]:
        pixels = generator.integers(0, 256, (2, 3072), dtype=np.uint8)
        return [name, write(name, {"data": pixels, "labels": [3, 5]})]

    for files in ("train_list", "test_list"):
        monkeypatch.setattr(datasets.CIFAR10, files, [batch(name) for name, _ in getattr(datasets.CIFAR10, files)])
    names = {"label_names": [*"abcdefghij"]}
    monkeypatch.setattr(datasets.CIFAR10, "meta", datasets.CIFAR10.meta | {"md5": write("batches.meta", names)})
    return folder


def test_cifar10_is_read_as_torchvision_reads_it(small_cifar10):
    data = Cifar10().load("", small_cifar10.parent, False)
    original = datasets.CIFAR10(str(small_cifar10.parent), train=True)
    np.testing.assert_array_equal(data.train.read(range(10)).permute(0, 2, 3, 1).numpy(), original.data)
    assert (data.train.labels.tolist(), len(data.test), data.classes) == ([3, 5] * 5, 2, tuple("abcdefghij"))


class Mischief:
    def __reduce__(self):
        return os.mkdir, ("mischief",)


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
def test_a_pickle_that_is_not_the_published_one_is_never_opened(small_cifar10, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (small_cifar10 / name).write_bytes(pickle.dumps(Mischief()))
    with pytest.raises(InputError, match=f"incomplete or damaged .{name} has not the published checksum"):
        Cifar10().load("", tmp_path, False)
    assert not Path("mischief").exists()


def test_files_of_another_checksum_are_refused(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name, _ in [*datasets.CIFAR10.train_list, *datasets.CIFAR10.test_list]:
        (folder / name).write_bytes(b"something else")
    with pytest.raises(InputError, match="incomplete or damaged"):
        Cifar10().load("", tmp_path, False)


def test_a_failed_download_is_reported(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", fail)
    with pytest.raises(InputError, match=r"could not be downloaded .*no route to host"):
        Cifar10().load("", tmp_path, True)


@pytest.mark.skipif("NASPLUG_DATA" not in os.environ, reason="needs NASPLUG_DATA, a folder with cifar-10-batches-py")
def test_real_cifar10():
    root = Path(os.environ["NASPLUG_DATA"])
    data = Cifar10().load("", root, False)
    assert (data.size, data.channels, data.shift, len(data.train), len(data.test)) == (32, 3, 4, 50_000, 10_000)
    assert data.classes[3] == "cat"
    original = datasets.CIFAR10(str(root), train=False)
    assert torch.equal(data.test.read([77])[0], torch.from_numpy(original.data[77]).permute(2, 0, 1))
    assert data.test.labels[77] == original.targets[77]
