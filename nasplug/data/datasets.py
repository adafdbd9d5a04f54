"""Map-style data sets of torch, read as labelled images of one size."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from threading import Lock
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasplug.data.images import MemoryImages
from nasplug.data.pixels import image_to_pixels
from nasplug.errors import InputError, one_line
from nasplug.parts import Images

RESIDENT_BYTES = 2 << 30
"""Data sets of at most this size are kept in memory; items of larger ones are read whenever they are needed."""
REREAD_ITEMS = 16
"""Items that are read a second time, to detect random transforms."""


@runtime_checkable
class Indexed(Protocol):
    """The interface of map-style data sets (`torch.utils.data.Dataset`)."""

    def __getitem__(self, index: int, /) -> Any: ...

    def __len__(self) -> int: ...


class DatasetImages(Images):
    """The items of a data set, read whenever they are needed, by one thread at a time.

    `labels` (N,) and `shape` (C, H, W) are those found when all items were first read.
    """

    def __init__(self, dataset: Indexed, labels: npt.NDArray[np.int64], shape: tuple[int, ...]) -> None:
        self.labels = labels
        self._dataset = dataset
        self._shape = shape
        self._lock = Lock()

    def read(self, indices: Sequence[int]) -> Tensor:
        """The images at `indices`, uint8 (N, C, H, W). Raises InputError for an item that has changed since."""
        with self._lock:
            return torch.stack([self._image(index) for index in indices])

    def _image(self, index: int) -> Tensor:
        image, label = read_item(self._dataset, index)
        if tuple(image.shape) != self._shape or label != self.labels[index]:
            raise InputError(_describe_change(self._dataset, index))
        return image


def read_dataset(dataset: Indexed) -> MemoryImages | DatasetImages:
    """Reads and checks every item of a data set; keeps the images in memory up to RESIDENT_BYTES.

    Raises InputError for items that are not pairs (image, label), for images of different sizes and for items that
    differ each time they are read.
    """
    try:
        count = len(dataset)
    except (Exception, SystemExit) as error:
        raise InputError(f"The data set {_name(dataset)} has no length ({one_line(error)}); fix it.") from error
    if count == 0:
        raise InputError(f"The data set {_name(dataset)} is empty; at least two images of each class are needed.")
    first, _ = read_item(dataset, 0)
    labels = np.empty(count, np.int64)
    fits = count * first.numel() * first.element_size() <= RESIDENT_BYTES
    pixels = torch.empty((count, *first.shape), dtype=first.dtype) if fits else None
    reread = {round(place) for place in np.linspace(0, count - 1, min(REREAD_ITEMS, count))}
    for index in range(count):
        image, labels[index] = read_item(dataset, index)
        if image.shape != first.shape or image.dtype != first.dtype:
            raise InputError(
                f"Item {index} of {_name(dataset)} has the shape {tuple(image.shape)} (channels, height, width; "
                f"{image.dtype}) and item 0 {tuple(first.shape)} ({first.dtype}); bring all images to one size, mode "
                f"and type."
            )
        if index in reread:
            again, label = read_item(dataset, index)
            if label != labels[index] or not torch.equal(again, image):
                raise InputError(_describe_change(dataset, index))
        if pixels is not None:
            pixels[index] = image
    if pixels is None:
        return DatasetImages(dataset, labels, tuple(first.shape))
    return MemoryImages(pixels, labels)


def read_item(dataset: Indexed, index: int) -> tuple[Tensor, int]:
    """The image of one item, uint8 (C, H, W), or its signal, (C, 1, L), and its label."""
    what = f"Item {index} of {_name(dataset)}"
    try:
        pair = dataset[index]
    except (Exception, SystemExit) as error:
        raise InputError(f"{what} cannot be read ({one_line(error)}); fix the data set.") from error
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise InputError(f"{what} must be a pair (image, label), but it is of type {type(pair).__name__}.")
    return image_to_pixels(pair[0], f"The image of item {index} of {_name(dataset)}"), read_label(pair[1], what)


def read_label(value: object, what: str) -> int:
    """A label as an int; `what` names its item in messages. Raises InputError unless it is an integer of 64 bits."""
    try:
        if isinstance(value, Tensor | np.ndarray) and np.prod(value.shape) == 1:
            value = value.item()
        return int(np.int64(operator.index(value)))  # type: ignore[arg-type]
    except (TypeError, OverflowError, RuntimeError) as error:  # RuntimeError: a tensor on the device meta
        raise InputError(f"{what} has the label {value!r:.40}; labels are whole numbers, counted from 0.") from error


def find_class_names(dataset: object) -> tuple[str, ...] | None:
    """The attribute `classes` of a data set, or of the data set of which it is a subset; None if there is none."""
    while not hasattr(dataset, "classes") and hasattr(dataset, "dataset"):
        dataset = dataset.dataset
    names = getattr(dataset, "classes", None)
    return tuple(map(str, names)) if isinstance(names, list | tuple) else None


def _describe_change(dataset: Indexed, index: int) -> str:
    return (
        f"Item {index} of {_name(dataset)} differs each time it is read; leave random transforms out of the "
        f"data set (nasplug augments training images by itself: search.augment and retrain.augment)."
    )


def _name(dataset: object) -> str:
    return type(dataset).__name__
