"""Standard data sets as torchvision stores them under `--data-root`."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from torchvision import datasets

from nasplug.data.images import MemoryImages
from nasplug.errors import InputError
from nasplug.parts import DataSource, ImageData


@attrs.frozen
class Cifar10(DataSource):
    """CIFAR-10: 50,000 training and 10,000 test colour images of 32x32 pixels in ten classes."""

    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Reads `cifar-10-batches-py` under `root`."""
        return _load("cifar10", datasets.CIFAR10, "cifar-10-batches-py", location, root, download, 4, _read_cifar)


@attrs.frozen
class Cifar100(DataSource):
    """CIFAR-100: 50,000 training and 10,000 test colour images of 32x32 pixels in a hundred classes."""

    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Reads `cifar-100-python` under `root`."""
        return _load("cifar100", datasets.CIFAR100, "cifar-100-python", location, root, download, 4, _read_cifar)


@attrs.frozen
class FashionMnist(DataSource):
    """Fashion-MNIST: 60,000 training and 10,000 test grey images of 28x28 pixels in ten classes."""

    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Reads `FashionMNIST/raw` under `root`."""
        return _load(
            "fashion-mnist", datasets.FashionMNIST, "FashionMNIST/raw", location, root, download, 2, _read_fashion_mnist
        )


def _load(
    name: str,
    dataset: Any,
    folder: str,
    location: str,
    root: Path | None,
    download: bool,
    shift: int,
    read: Callable[[Any, Path], tuple[MemoryImages, MemoryImages, Sequence[str]]],
) -> ImageData:
    """Reads a data set by `read`, which gets the class of torchvision and `root`, after fetching it if asked to."""
    if location:
        raise InputError(f"Data set '{name}' has no location, but '{location}' was given; use --data {name}.")
    if root is None:
        raise InputError(
            f"Data set '{name}' is kept in a folder of data sets, but none was named; give --data-root FOLDER, and "
            f"--download if it is not there yet."
        )
    try:
        if download:
            dataset(str(root), download=True)
        train, test, classes = read(dataset, root)
    # Damaged files surface as whatever the parsers trip over: checksums, shapes, assertions.
    except Exception as error:
        raise InputError(_refusal(name, root, root / folder, download, error)) from error
    _, channels, size, _ = train.pixels.shape
    return ImageData(name, tuple(classes), size, channels, train, test, flips=True, shift=shift)


def _read_cifar(dataset: Any, root: Path) -> tuple[MemoryImages, MemoryImages, Sequence[str]]:
    """Unpickles the published files, and no others: the bytes that are unpickled are those that were checked."""
    folder = root / dataset.base_folder
    batches = {
        part: [_unpickle(folder / name, checksum) for name, checksum in files]
        for part, files in (("train", dataset.train_list), ("test", dataset.test_list))
    }
    images = []
    for part in ("train", "test"):
        pixels = np.concatenate([batch["data"] for batch in batches[part]]).reshape(-1, 3, 32, 32)
        labels = [label for batch in batches[part] for label in batch["labels" if "labels" in batch else "fine_labels"]]
        images.append(MemoryImages(torch.from_numpy(pixels), np.array(labels, np.int64)))
    names = _unpickle(folder / dataset.meta["filename"], dataset.meta["md5"])[dataset.meta["key"]]
    return images[0], images[1], names


def _unpickle(path: Path, checksum: str) -> dict[str, Any]:
    """What a file holds whose MD5 digest is `checksum`; a pickle can run any program, so it is opened only then."""
    content = path.read_bytes()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != checksum:
        raise ValueError(f"{path.name} has not the published checksum")
    entries: dict[str, Any] = pickle.loads(content, encoding="latin1")  # noqa: S301 - published files only
    return entries


def _read_fashion_mnist(dataset: Any, root: Path) -> tuple[MemoryImages, MemoryImages, Sequence[str]]:
    train, test = (dataset(str(root), train=train) for train in (True, False))
    images = [
        MemoryImages(torch.as_tensor(part.data)[:, None].contiguous(), np.asarray(part.targets))
        for part in (train, test)
    ]
    return images[0], images[1], train.classes


def _refusal(name: str, root: Path, folder: Path, download: bool, error: Exception) -> str:
    if download:
        return f"Data set '{name}' could not be downloaded to --data-root {root}: {error}"
    if not folder.is_dir() or not any(folder.iterdir()):
        return (
            f"Data set '{name}' is not in --data-root {root} (there is no {folder}); name the folder that holds it, or "
            f"add --download to fetch it."
        )
    return (
        f"Data set '{name}' in {folder} is incomplete or damaged ({error}); remove that folder and add --download to "
        f"fetch it again, or name another --data-root."
    )
