"""Files of arrays, safetensors or npz: the inputs and labels of each split, read and checked.

The arrays of the training split are called `labels` and by the `kind` of inputs, `images` or `signals`; those of others
begin with the name of the split, such as `test_labels`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from zipfile import BadZipFile

import attrs
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from nasplug.data.images import MemoryImages
from nasplug.data.targets import read_columns, task_of
from nasplug.errors import InputError, reason
from nasplug.formats.regular_file import expand_home, find_kind
from nasplug.parts import Task
from nasplug.parts.task import Targets

INTEGERS = (
    *(torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.uint8, torch.uint16, torch.uint32, torch.uint64),
)
COLUMNS = (*INTEGERS, torch.bool, torch.float16, torch.float32, torch.float64)
"""Types of labels with several columns."""

NPZ_ERRORS = (
    *(BadZipFile, OSError, AttributeError, EOFError, KeyError, zlib.error),
    ValueError,  # of NumPy, for pickles
    TypeError,  # of torch, which lacks some of NumPy's types
    RuntimeError,  # of zipfile, for what is encrypted or was compressed in a way that it does not know
)
"""What is raised for npz files that are damaged, or that hold no plain numbers."""

SPLITS = ("validation", "test")
"""What the arrays of images that are not for training begin with."""


Convert = Callable[[Path, str, Tensor], Tensor]
"""From path, name and inputs of a split to their values (N, C, H, W), uint8 or float32; raises InputError."""


@attrs.frozen(eq=False)
class LoadedArrays:
    """The splits of a file of arrays."""

    train: MemoryImages
    validation: MemoryImages | None
    test: MemoryImages | None
    classes: tuple[str, ...]
    task: Task


def read_tensors(path: Path, what: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The arrays and the metadata of a file, npz by its ending and else safetensors; the classes of npz are an array.

    Raises InputError, with `what` it is needed for, if there is no such file, or if it is damaged.
    """
    if find_kind(path) != "file":
        raise InputError(f"There is no file {path}; {what} needs a safetensors or npz file.")
    if path.suffix == ".npz":
        return _read_npz(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            metadata = file.metadata() or {}
    # AttributeError: of torch, which lacks some of the types of numbers that the format has
    except (SafetensorError, OSError, AttributeError) as error:
        raise InputError(f"{path} is damaged or no safetensors file ({reason(error)}); write it again.") from error
    return tensors, metadata


def _read_npz(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Objects, which would have to be unpickled, and could run code, are never read."""
    tensors, metadata = dict[str, Tensor](), dict[str, str]()
    name = ""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            for name in file.files:
                values = file[name]
                if name == "classes":
                    metadata[name] = json.dumps([str(each) for each in values.ravel().tolist()])
                else:
                    tensors[name] = torch.from_numpy(np.array(values, dtype=values.dtype.newbyteorder("=")))
    except NPZ_ERRORS as error:
        where = f", array '{name}'" if name else ""
        raise InputError(
            f"{path}{where}, is damaged or holds no plain numbers ({reason(error)}); write it again with numpy.savez, "
            f"without Python objects."
        ) from error
    return tensors, metadata


def load_arrays(location: str, kind: str, source: str, convert: Convert) -> LoadedArrays:
    """Reads and checks a whole file, for `--data {source}:FILE`.

    `convert` checks the inputs of a split, given the path, their name and themselves, and brings them into the form of
    `MemoryImages`. Raises InputError for a file that is missing, damaged, or not what it must be.
    """
    if not location:
        raise InputError(
            f"Data set '{source}' needs a file, but none was named; use --data {source}:FILE.safetensors or "
            f"{source}:FILE.npz."
        )
    path = expand_home(location)
    tensors, metadata = read_tensors(path, f"--data {source}:FILE")
    known = {f"{prefix}{name}" for prefix in ("", *(f"{split}_" for split in SPLITS)) for name in (kind, "labels")}
    if unknown := sorted(set(tensors) - known):
        raise InputError(f"{path} holds an array '{unknown[0]}', which has no meaning here; known: {sorted(known)}.")
    train = _read_split(path, tensors, "", kind, convert)
    task = task_of(train.labels)
    names = _classes(path, metadata, train.labels, task)
    _check_labels(path, "labels", train.labels, names, task, kind)
    others: dict[str, MemoryImages] = {}
    for split in SPLITS:
        if any(name.startswith(split) for name in tensors):
            images = others[split] = _read_split(path, tensors, f"{split}_", kind, convert)
            _check_labels(path, f"{split}_labels", images.labels, names, task, kind)
            if (images.pixels.shape[1:], images.pixels.dtype) != (train.pixels.shape[1:], train.pixels.dtype):
                raise InputError(
                    f"In {path}, '{split}_{kind}' have the shape {describe(tensors[f'{split}_{kind}'])} and '{kind}' "
                    f"{describe(tensors[kind])}; give both the same size and channels."
                )
    return LoadedArrays(train, others.get("validation"), others.get("test"), names, task)


def _read_split(path: Path, tensors: Mapping[str, Tensor], prefix: str, kind: str, convert: Convert) -> MemoryImages:
    """The inputs and labels whose names begin with `prefix`; InputError if they are not what they must be."""
    for name in (f"{prefix}{kind}", f"{prefix}labels"):
        if name not in tensors:
            raise InputError(f"{path} holds no array '{name}'; it holds {sorted(tensors) or 'none'}.")
    inputs, labels = tensors[f"{prefix}{kind}"], tensors[f"{prefix}labels"]
    pixels = convert(path, f"{prefix}{kind}", inputs)
    if not (_are_columns(labels) or (labels.ndim == 1 and labels.dtype in INTEGERS)):
        raise InputError(
            f"'{prefix}labels' in {path} must be whole numbers (N,), but they are {describe(labels)}; several labels "
            f"for an input have a column of 0 and 1 each, and numbers a column of floating-point ones."
        )
    if len(inputs) != len(labels) or len(labels) == 0:
        one = kind.removesuffix("s")
        raise InputError(
            f"{path} holds {len(inputs)} '{prefix}{kind}' and {len(labels)} '{prefix}labels'; each {one} needs one "
            f"label, and at least one {one} is needed."
        )
    targets = labels.numpy() if labels.ndim == 1 else read_columns(labels.numpy(), f"'{prefix}labels' in {path}")
    return MemoryImages(pixels, targets)


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


def _check_labels(path: Path, array: str, labels: Targets, names: tuple[str, ...], task: Task, kind: str) -> None:
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
            f"'{names[absent[0]]}'); add {kind} of this class, or drop its name."
        )


def describe(tensor: Tensor) -> str:
    """Type and shape, for messages."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
