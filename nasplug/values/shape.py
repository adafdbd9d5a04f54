"""The shapes of images and signals, logits and feature maps.

A signal (C, L) is held as an image (C, 1, L) of one row: layers are the same for both, with kernels of one row for
signals. `dims` tells them apart: 1 for signals, 2 for images.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from types import MappingProxyType
from typing import Any

import attrs

from nasplug.errors import InputError

SCALES: Mapping[str, int] = MappingProxyType({"uint8": 255, "float32": 1})
"""By type of the values of images and signals, the value that is 1 on the scale of mean and standard deviation."""


INPUT_WORDS: Mapping[int, str] = MappingProxyType({1: "signal", 2: "image"})
"""What an input of so many dimensions is called; several of them end in an s."""


def record_form(dims: int, dtype: str) -> dict[str, Any]:
    """What a file says of the form of its inputs; nothing of images of bytes."""
    return {} if (dims, dtype) == (2, "uint8") else {"dims": dims, "dtype": dtype}


def read_form(entries: Mapping[str, Any]) -> tuple[int, str]:
    """The dimensions and the type of values that `record_form` wrote; ValueError if there are no such."""
    dims, dtype = entries.get("dims", 2), entries.get("dtype", "uint8")
    if dims not in (1, 2) or dtype not in SCALES:
        raise ValueError(f"inputs of {dims!r:.20} dimensions and the type {dtype!r:.20}")
    return dims, dtype


def sides(length: int, dims: int) -> tuple[int, int]:
    """Height and width of a kernel or a map: (length, length) for images, (1, length) for signals (`dims` 1)."""
    return (1, length) if dims == 1 else (length, length)


@attrs.frozen
class ImageShape:
    """Square images of `size` x `size` pixels, or signals of `size` samples; `channels` channels, `classes` classes.

    Raises InputError unless all three are whole numbers of at least 1.
    """

    channels: int
    size: int
    classes: int
    mean: tuple[float, ...] = ()
    """By channel, what normalisation subtracts from images on the scale from 0 to 1; empty: nothing."""
    std: tuple[float, ...] = ()
    """By channel, what normalisation divides by afterwards; empty: nothing."""
    dims: int = 2
    """Dimensions besides the channels: 2 for images, 1 for signals."""

    def __attrs_post_init__(self) -> None:
        numbers: dict[str, object] = {"channels": self.channels, "size": self.size, "classes": self.classes}
        for name, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
                raise InputError(
                    f"The {name} of {self.input_word}s must be a whole number from 1 on, but got {value!r:.40}."
                )

    @property
    def tensor_shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of the tensor of one image or signal; a signal has one row."""
        return (self.channels, *sides(self.size, self.dims))

    @property
    def input_word(self) -> str:
        """What one input is called: image or signal."""
        return INPUT_WORDS[self.dims]

    def __str__(self) -> str:
        """As messages name it: channels and sizes, such as 3x32x32, or 1x40 for a signal."""
        return "x".join(map(str, (self.channels, *[self.size] * self.dims)))


@attrs.frozen
class MapShape:
    """Feature maps of `channels` channels: square ones of `size` x `size` pixels, or those of signals."""

    channels: int
    size: int
    dims: int = 2
    """As `ImageShape.dims`."""

    @property
    def tensor_shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of one map."""
        return (self.channels, *sides(self.size, self.dims))
