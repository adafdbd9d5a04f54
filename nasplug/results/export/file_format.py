"""What every format of exported files has to say: how a file is written, and what it is once it is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import attrs
import torch
from torch import Tensor

from nasplug.errors import InputError
from nasplug.formats.fields import OBJECT, TEXT, WHOLE, Kind, check_fields, list_of
from nasplug.formats.json_text import parse_json
from nasplug.formats.limits import FormatError
from nasplug.parts import Task
from nasplug.parts.classification import CLASSIFICATION
from nasplug.parts.recorded_task import read_task
from nasplug.results.classifier import Classifier
from nasplug.values import sides
from nasplug.values.shape import read_form

Metadata = Mapping[str, str]
WEIGHTS = ".pt"
"""The ending of a second file with the weights, where a format has one."""

IMAGES: Mapping[str, Kind] = {
    "classes": list_of(TEXT),
    "channels": WHOLE,
    "size": WHOLE,
}
OPTIONAL: Mapping[str, Kind] = {"bits": WHOLE.or_null(), "task": OBJECT, "dims": WHOLE}


@attrs.frozen
class Opened:
    """A file that was read back: what it computes, and for which images."""

    predict: Callable[[Tensor], Tensor]
    """The answers (N, outputs) to uint8 images (N, C, H, W), as the file computes them."""
    metadata: Metadata
    classes: tuple[str, ...]
    channels: int
    size: int
    """Height and width of an image in pixels."""
    bits: int | None
    """Bits used of values of more than 8 in the training images; None: these had 8."""
    task: Task = CLASSIFICATION
    dims: int = 2
    dtype: str = "uint8"
    """As those of `ImageData`."""

    @property
    def tensor_shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of one image or signal."""
        return (self.channels, *sides(self.size, self.dims))

    @property
    def ordinary_input(self) -> Tensor:
        """A black image, or a signal of zeros, (1, C, H, W); a file that has no answer to it is not opened."""
        return torch.zeros(1, *self.tensor_shape, dtype=getattr(torch, self.dtype), device="cpu")

    @classmethod
    def described_by(cls, metadata: Metadata, predict: Callable[[Tensor], Tensor]) -> Self:
        """A file with the metadata that nasplug writes; FormatError if they lack what the images are."""
        told: dict[str, Any] = {name: parse_json(metadata[name]) for name in (*IMAGES, *OPTIONAL) if name in metadata}
        try:
            check_fields(told, IMAGES, OPTIONAL)
            task = read_task(told)
            dims, dtype = read_form({**told, **{name: metadata[name] for name in ("dtype",) if name in metadata}})
        except (FormatError, TypeError, ValueError) as error:
            raise FormatError(f"its metadata are not those that nasplug writes: {error}") from error
        names = tuple(told["classes"])
        bits = told.get("bits", 16)
        return cls(predict, metadata, names, told["channels"], told["size"], bits, task, dims, dtype)

    def __call__(self, images: Tensor) -> Tensor:
        """What `predict` gives: an opened file stands in for the classifier that it was made from."""
        return self.predict(images)


@attrs.frozen
class Format:
    """One kind of file."""

    encode: Callable[[Classifier, Metadata], bytes]
    read: Callable[[Path], Opened]
    """May raise anything for a file that is damaged or foreign; `open_export` makes a sentence of it."""
    encode_int8: Callable[[Classifier, Metadata, Tensor], bytes] | None = None
    """As `encode`, for weights and maps of 8 bits; calibrated on the images, uint8 (N, C, H, W)."""
    count_nodes: Callable[[bytes], int] | None = None
    """The operations of the graph in the bytes of a file."""
    suffix: str = ""
    """The ending of its files; empty: its name."""
    weights: Callable[[Classifier], bytes] | None = None
    """The bytes of a second file, beside the first and with the ending WEIGHTS."""
    rebuilds: bool = True
    """Whether a file says what nasplug needs to build the network."""
    batch: str = "N"
    """How many images it takes at a time: any number, N, or 1."""


def require(extra: str, *modules: str) -> None:
    """Imports modules of the packages in an extra of nasplug; InputError, with the remedy, if one is missing."""
    try:
        for module in modules:
            import_module(module)
    except ImportError as error:
        raise InputError(
            f"Files of this format need packages that are missing ({error}): pip install 'nasplug[{extra}]'."
        ) from error
