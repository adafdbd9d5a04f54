"""Images that a Python program passes in, as a data set like any other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasplug.data.datasets import Indexed, find_class_names, read_dataset, read_label
from nasplug.data.images import MemoryImages, with_validation
from nasplug.data.pixels import batch_to_pixels
from nasplug.data.targets import note_one_label, read_columns, task_of
from nasplug.errors import InputError
from nasplug.parts import DataSource, ImageData, Images, Task
from nasplug.parts.task import Targets
from nasplug.values.options import option
from nasplug.values.shape import INPUT_WORDS

DIGEST_IMAGES = 256
"""The number of images that enter the digest, besides all labels."""
ACCEPTED_DATA = (
    "the name of a data set, a torch Dataset of (image, label), a pair (images, labels) or (signals, labels), two of "
    "these for training and test, three for training, validation and test, an ImageData or a DataSource"
)


@attrs.frozen
class InMemorySource(DataSource):
    """Images that a Python program passed in."""

    images: ImageData | DataSource = attrs.field(kw_only=True, metadata={"summary": "the images themselves"})
    flips: bool | None = option(None, "whether a mirrored image is the same thing; unset: as the images say, or yes")
    shift: int | None = option(
        None, "how far standard augmentation shifts images, in pixels; unset: as the images say", at_least=0
    )
    digest: str = option("", "of the images that a run of version 0.1 was started with; empty: any")

    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Returns the images. Raises InputError if `digest` is set and they are not the images it was computed from."""
        data = self.images.load("", root, download) if isinstance(self.images, DataSource) else self.images
        if self.digest and digest(data) != self.digest:
            raise InputError(
                f"These are not the images that the run was started with ({data.name}, {len(data.train)} images for "
                f"training); hand over the same ones, in the same order."
            )
        flips = data.flips if self.flips is None else self.flips
        return attrs.evolve(data, flips=flips, shift=data.shift if self.shift is None else self.shift)


def to_image_data(data: object) -> ImageData:
    """Reads one of ACCEPTED_DATA, except names and sources, as a data set. Raises InputError for anything else."""
    if isinstance(data, ImageData):
        return data
    train, validation, test = _split(data)
    images, names = _labelled(train)
    task = task_of(images.labels)
    names = names or (_number_classes(images.labels) if task.has_classes else _number_columns(images.labels))
    name = type(train[0] if isinstance(train, tuple | list) else train).__name__
    _check_labels("train", images, names, task)
    shape, dtype = _form(images)
    channels, size = shape[0], shape[2]
    dims = 2 if shape[1] == size else 1  # signals have at least two samples
    word = INPUT_WORDS[dims]
    others: dict[str, Images] = {}
    for title, part in (("validation", validation), ("test", test)):
        if part is None:
            continue
        others[title], own_names = _labelled(part)
        _check_labels(title, others[title], names, task)
        if own_names is not None and own_names != names:
            raise InputError(
                f"The {title} {word}s have the classes {own_names!r:.80} and those for training {names!r:.80}; give "
                "both the same, in the same order."
            )
        if (own := _form(others[title])) != (shape, dtype):
            raise InputError(
                f"The {title} {word}s have the shape {own[0]} (channels, height, width; {own[1]}) and those for "
                f"training {shape} ({dtype}); bring them to one size, mode and type."
            )
    whole = ImageData(
        name,
        names,
        size,
        channels,
        images,
        others.get("test"),
        flips=dims == 2,
        shift=size // 8,
        notes=(*(() if dims == 2 else _note_signals(channels, size)), *note_one_label(images.labels, task)),
        task=task,
        dims=dims,
        dtype=dtype,
    )
    return with_validation(whole, others.get("validation"))


def digest(data: ImageData) -> str:
    """Twelve hexadecimal digits that identify a data set by its classes, all labels and some images."""
    sums = hashlib.sha256(json.dumps([data.classes, data.size, data.channels]).encode())
    for images in (data.train, data.test):
        if images is not None:
            chosen = np.linspace(0, len(images) - 1, min(DIGEST_IMAGES, len(images))).round().astype(int).tolist()
            sums.update(np.ascontiguousarray(images.labels).tobytes())
            sums.update(images.read(chosen).cpu().numpy().tobytes())
    return sums.hexdigest()[:12]


def _split(data: object) -> tuple[Any, Any | None, Any | None]:
    """The data for training, and those for validation and for the test, if there are any."""
    if not isinstance(data, tuple | list):
        return data, None, None
    is_one = len(data) > 0 and isinstance(data[0], Tensor | np.ndarray)
    if len(data) == 2:
        return (data, None, None) if is_one else (data[0], None, data[1])
    if len(data) != 3 or is_one:
        raise InputError(
            f"Data can be a pair or three of them, but this is a {type(data).__name__} of {len(data)}; give "
            f"{ACCEPTED_DATA}."
        )
    return data[0], data[1], data[2]


def _labelled(data: Any) -> tuple[Images, tuple[str, ...] | None]:
    if isinstance(data, tuple | list) and len(data) == 2 and isinstance(data[0], Tensor | np.ndarray):
        pixels = batch_to_pixels(
            data[0], "The tensor of images" if isinstance(data[0], Tensor) else "The array of images"
        )
        labels = _labels(data[1])
        if len(pixels) != len(labels):
            word = "image" if pixels.shape[2] == pixels.shape[3] else "signal"
            raise InputError(f"There are {len(pixels)} {word}s and {len(labels)} labels; each {word} needs one label.")
        return MemoryImages(pixels.cpu(), labels), None
    if isinstance(data, type):
        raise InputError(f"Data must be an instance, but {data.__name__} is a class; hand over {data.__name__}(...).")
    if isinstance(data, Indexed) and not isinstance(data, Tensor | np.ndarray | str | bytes | dict | tuple | list):
        return read_dataset(data), find_class_names(data)
    raise InputError(f"Data cannot be of type {type(data).__name__}; give {ACCEPTED_DATA}.")


def _form(images: Images) -> tuple[tuple[int, ...], str]:
    """Shape and type of one image, or of one signal in the form of an image."""
    first = images.read([0])
    return tuple(first.shape[1:]), str(first.dtype).removeprefix("torch.")


def _note_signals(channels: int, size: int) -> tuple[str, ...]:
    """What was taken for signals, where it could have been meant as grey images."""
    if channels == 1:
        return ()
    return (
        f"These are signals of {channels} channels and {size} samples; as grey images they would have to be square.",
    )


def _labels(labels: object) -> Targets:
    """The labels that belong to a batch of images, as an array: a class for each, or several columns."""
    unordered = isinstance(labels, Mapping | Set | str | bytes)
    if unordered or not isinstance(labels, Iterable) or getattr(labels, "ndim", 1) == 0:
        raise InputError(
            f"Labels must be a list, an array or a tensor, with one number for each image, but these are "
            f"{labels!r:.80}."
        )
    if isinstance(labels, Tensor) and (labels.is_meta or labels.layout is not torch.strided):
        raise InputError("Labels must be values, but these are a tensor without dense values; make it dense.")
    columns = _columns(labels)
    if columns is not None:
        return read_columns(columns, "Labels")
    return np.array([read_label(label, f"Image {number}") for number, label in enumerate(labels)], np.int64)


def _columns(labels: Iterable[Any]) -> npt.NDArray[Any] | None:
    """An array or a tensor (N, outputs) as an array; None for anything else, and for one column of whole numbers."""
    if not isinstance(labels, Tensor | np.ndarray) or labels.ndim != 2:
        return None
    values = _to_array(labels) if isinstance(labels, Tensor) else labels
    return None if values.shape[1] == 1 and values.dtype.kind != "f" else values


def _to_array(labels: Tensor) -> npt.NDArray[Any]:
    """The values of a tensor; those of the short floating-point types, most of which NumPy lacks, as float32.

    Raises InputError for a tensor whose values cannot be read.
    """
    dense = labels.detach().cpu()
    try:
        short = dense.is_floating_point() and dense.itemsize <= 2
        array: npt.NDArray[Any] = (dense.float() if short else dense).numpy()
    except (TypeError, RuntimeError) as error:
        raise InputError(f"Labels cannot be read from a tensor of {dense.dtype}; give them as float32.") from error
    return array


def _number_columns(targets: Targets) -> tuple[str, ...]:
    """Numbers as names of labels or outputs."""
    return tuple(map(str, range(targets.shape[1])))


def _number_classes(labels: npt.NDArray[np.int64]) -> tuple[str, ...]:
    """Numbers as names of classes that have no names. Raises InputError if a number between them has no images."""
    present = np.unique(labels[labels >= 0])
    gaps = np.flatnonzero(present != np.arange(len(present)))
    if len(gaps):
        raise InputError(
            f"There are images with the label {present[gaps[0]]}, but none with {gaps[0]}; number the classes from 0 "
            f"without gaps."
        )
    return tuple(map(str, range(len(present))))


def _check_labels(title: str, images: Images, names: tuple[str, ...], task: Task) -> None:
    if not task.has_classes or images.labels.ndim != 1:
        task.check(images.labels, names, f"Labels of the images ({title})")
        return
    wrong = np.flatnonzero((images.labels < 0) | (images.labels >= len(names)))
    if len(names) < 2:
        raise InputError(f"At least two different classes are needed, but the images have {names!r:.80}.")
    if len(wrong):
        raise InputError(
            f"Labels must lie between 0 and {len(names) - 1}, for {len(names)} classes, but that of image {wrong[0]} "
            f"({title}) is {images.labels[wrong[0]]}; number the classes from 0 without gaps."
        )
