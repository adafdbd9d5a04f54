"""Standard data sets as torchvision stores them under `--data-root`."""

from __future__ import annotations

from collections.abc import Callable
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
        return _load("cifar10", datasets.CIFAR10, "cifar-10-batches-py", location, root, download, shift=4)


@attrs.frozen
class Cifar100(DataSource):
    """CIFAR-100: 50,000 training and 10,000 test colour images of 32x32 pixels in a hundred classes."""

    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Reads `cifar-100-python` under `root`."""
        return _load("cifar100", datasets.CIFAR100, "cifar-100-python", location, root, download, shift=4)


@attrs.frozen
class FashionMnist(DataSource):
    """Fashion-MNIST: 60,000 training and 10,000 test grey images of 28x28 pixels in ten classes."""

    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Reads `FashionMNIST/raw` under `root`."""
        return _load("fashion-mnist", datasets.FashionMNIST, "FashionMNIST/raw", location, root, download, shift=2)


def _load(
    name: str,
    dataset: Callable[..., Any],
    folder: str,
    location: str,
    root: Path | None,
    download: bool,
    shift: int,
) -> ImageData:
    if location:
        raise InputError(f"Data set '{name}' has no location, but '{location}' was given; use --data {name}.")
    if root is None:
        raise InputError(
            f"Data set '{name}' is kept in a folder of data sets, but none was named; give --data-root FOLDER, and "
            f"--download if it is not there yet."
        )
    try:
        train, test = (dataset(str(root), train=train, download=download) for train in (True, False))
    # Damaged files surface as whatever torchvision's parsers trip over: checksums, unpickling, shapes, assertions.
    except Exception as error:
        raise InputError(_refusal(name, root, root / folder, download, error)) from error
    images, tests = _images(train), _images(test)
    _, channels, size, _ = images.pixels.shape
    return ImageData(name, tuple(train.classes), size, channels, images, tests, flips=True, shift=shift)


def _images(dataset: Any) -> MemoryImages:
    """Torchvision holds (N, H, W) or (N, H, W, C) in a tensor or an array."""
    pixels = torch.as_tensor(dataset.data)
    pixels = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    return MemoryImages(pixels.contiguous(), np.asarray(dataset.targets))


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
