"""Images that another program has prepared as arrays in one safetensors file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import attrs
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from nasplug.data.images import MemoryImages, with_validation
from nasplug.data.targets import note_one_label, read_columns, task_of
from nasplug.errors import InputError, reason
from nasplug.formats.regular_file import expand_home
from nasplug.parts import DataSource, ImageData, Task
from nasplug.parts.task import Targets
from nasplug.values.options import option

INTEGERS = (
    *(torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.uint8, torch.uint16, torch.uint32, torch.uint64),
)
COLUMNS = (*INTEGERS, torch.bool, torch.float16, torch.float32, torch.float64)
"""Types of labels with several columns."""

SPLITS = ("validation", "test")
"""What the arrays of images that are not for training begin with."""


@attrs.frozen
class Arrays(DataSource):
    """`--data arrays:FILE`: `images`, uint8 (N, H, W, C), and `labels`, whole numbers (N,), in a safetensors file.

    Labels with several columns, (N, outputs), are 0 or 1 (uint8, bool or other whole numbers) for each label that an
    image may have, or floating-point numbers for a regression. The file may hold `validation_images` and
    `validation_labels`, and `test_images` and `test_labels` too, and the names of classes or columns as a JSON list in
    its metadata under `classes`. Images are square, with one or three channels.
    """

    location_is_path: ClassVar[bool] = True

    flips: bool = option(True, "whether a mirrored image is the same thing")

    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Reads and checks the whole file."""
        if not location:
            raise InputError("Data set 'arrays' needs a file, but none was named; use --data arrays:FILE.safetensors.")
        path = expand_home(location)
        tensors, metadata = _read(path)
        train = _images(path, tensors, "")
        task = task_of(train.labels)
        names = _classes(path, metadata, train.labels, task)
        _check_labels(path, "labels", train.labels, names, task)
        others: dict[str, MemoryImages] = {}
        for split in SPLITS:
            if any(name.startswith(split) for name in tensors):
                images = others[split] = _images(path, tensors, f"{split}_")
                _check_labels(path, f"{split}_labels", images.labels, names, task)
                if images.pixels.shape[1:] != train.pixels.shape[1:]:
                    raise InputError(
                        f"In {path}, '{split}_images' have the shape {_shape(tensors[f'{split}_images'])} and 'images' "
                        f"{_shape(tensors['images'])}; give both the same size and channels."
                    )
        _, channels, size, _ = train.pixels.shape
        tests, notes = others.get("test"), note_one_label(train.labels, task)
        data = ImageData(
            "arrays", names, size, channels, train, tests, self.flips, shift=size // 8, notes=notes, task=task
        )
        return with_validation(data, others.get("validation"))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise InputError(f"There is no file {path}; --data arrays:FILE needs a safetensors file.")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            metadata = file.metadata() or {}
    # AttributeError: of torch, which lacks some of the types of numbers that the format has
    except (SafetensorError, OSError, AttributeError) as error:
        raise InputError(f"{path} is damaged or no safetensors file ({reason(error)}); write it again.") from error
    known = {f"{prefix}{kind}" for prefix in ("", *(f"{split}_" for split in SPLITS)) for kind in ("images", "labels")}
    if unknown := sorted(set(tensors) - known):
        raise InputError(f"{path} holds an array '{unknown[0]}', which has no meaning here; known: {sorted(known)}.")
    return tensors, metadata


def _images(path: Path, tensors: dict[str, Tensor], prefix: str) -> MemoryImages:
    """The images and labels whose names begin with `prefix`; InputError if they are not what they must be."""
    for name in (f"{prefix}images", f"{prefix}labels"):
        if name not in tensors:
            raise InputError(f"{path} holds no array '{name}'; it holds {sorted(tensors) or 'none'}.")
    images, labels = tensors[f"{prefix}images"], tensors[f"{prefix}labels"]
    shape = tuple(images.shape)
    if images.dtype != torch.uint8 or len(shape) != 4 or shape[3] not in (1, 3):
        raise InputError(
            f"'{prefix}images' in {path} must be uint8 of shape (N, H, W, C) with C 1 or 3, but they are "
            f"{_shape(images)}."
        )
    if shape[1] != shape[2] or shape[1] == 0:
        raise InputError(f"'{prefix}images' in {path} must be square, but they are {_shape(images)}; crop or pad them.")
    if not (_are_columns(labels) or (labels.ndim == 1 and labels.dtype in INTEGERS)):
        raise InputError(
            f"'{prefix}labels' in {path} must be whole numbers (N,), but they are {_shape(labels)}; several labels "
            f"for an image have a column of 0 and 1 each, and numbers a column of floating-point ones."
        )
    if len(images) != len(labels) or len(labels) == 0:
        raise InputError(
            f"{path} holds {len(images)} '{prefix}images' and {len(labels)} '{prefix}labels'; each image needs one "
            f"label, and at least one image is needed."
        )
    targets = labels.numpy() if labels.ndim == 1 else read_columns(labels.numpy(), f"'{prefix}labels' in {path}")
    return MemoryImages(images.permute(0, 3, 1, 2).contiguous(), targets)


def _are_columns(labels: Tensor) -> bool:
    """Whether they are for several labels or a regression; a single column of whole numbers would be of classes."""
    return labels.ndim == 2 and labels.dtype in COLUMNS and (labels.shape[1] > 1 or labels.is_floating_point())


def _classes(path: Path, metadata: dict[str, str], labels: Targets, task: Task) -> tuple[str, ...]:
    """The class names: those of the metadata, or a number for each different label, or for each column."""
    if "classes" not in metadata:
        count = len(np.unique(labels)) if task.has_classes else labels.shape[1]
        names: object = [str(number) for number in range(count)]
    else:
        try:
            names = json.loads(metadata["classes"])
        except (ValueError, RecursionError) as error:
            raise InputError(f"The metadata 'classes' of {path} is not JSON: {error}.") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"The metadata 'classes' of {path} must be a JSON list of names, but it is {names!r:.80}.")
    if len(names) < (2 if task.has_classes else 1) or len(set(names)) != len(names):
        raise InputError(f"{path} must have at least two different classes, but it has {names!r:.80}.")
    return tuple(names)


def _check_labels(path: Path, array: str, labels: Targets, names: tuple[str, ...], task: Task) -> None:
    if not task.has_classes or labels.ndim != 1:
        task.check(labels, names, f"'{array}' of {path}")
        return
    wrong = np.flatnonzero((labels < 0) | (labels >= len(names)))
    if len(wrong):
        raise InputError(
            f"'{array}' of {path} must lie between 0 and {len(names) - 1}, for {len(names)} classes, but "
            f"{array}[{wrong[0]}] is {labels[wrong[0]]} ({len(wrong)} in all are out of range); number the classes "
            f"from 0 without gaps."
        )
    absent = np.setdiff1d(np.arange(len(names)), labels)
    if array == "labels" and len(absent):
        raise InputError(
            f"'labels' of {path} must name each of the {len(names)} classes, but none is {absent[0]} (class "
            f"'{names[absent[0]]}'); add images of this class, or drop its name."
        )


def _shape(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
