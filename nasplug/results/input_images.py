"""Images that are to be classified, as files, Pillow images, arrays or tensors, brought to the form of a network.

That is done as in training on files: grey becomes coloured or the reverse, the shorter side is scaled to the size of
the network, and the centre is cropped. What has that form already is taken as it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nasplug.data.decoding import decode, fit_image
from nasplug.data.pixels import to_uint8
from nasplug.errors import InputError
from nasplug.formats.regular_file import find_kind
from nasplug.parts import EncodedImage

ACCEPTED = (
    "a path, a Pillow image, a NumPy array or a tensor, or a list of these. Arrays and tensors hold uint8 or "
    "floating-point numbers from 0 to 1 and have the shape (H, W), (H, W, C) or (C, H, W) of one image, or "
    "(N, H, W, C), (N, C, H, W) or, for a network of grey images, (N, H, W)"
)


def read_images(images: Any, channels: int, size: int, bits: int | None = None) -> Tensor:
    """One image or many as uint8 (N, channels, size, size), for ACCEPTED. Raises InputError for anything else.

    `bits` are those that images of more than 8 bits use in the data set of the network.
    """
    if isinstance(images, np.ndarray) and images.dtype.kind in "OU":  # of images of several sizes, or of paths
        images = images.ravel().tolist()
    if isinstance(images, np.ndarray | Tensor):
        return _fit(_separate(images, channels, size, "What was handed over"), channels, size)
    if isinstance(images, str | os.PathLike | Image.Image):
        return _read_one(images, channels, size, bits, "The image").unsqueeze(0)
    if not isinstance(images, Iterable) or isinstance(images, bytes | Mapping):
        raise InputError(f"An object of type {type(images).__name__} cannot be classified; hand over {ACCEPTED}.")
    read = [_read_one(image, channels, size, bits, f"Item {number}") for number, image in enumerate(images)]
    return torch.stack(read) if read else torch.empty(0, channels, size, size, dtype=torch.uint8, device="cpu")


def read_file(file: EncodedImage, channels: int, size: int, bits: int | None) -> Tensor:
    """The image in a file, uint8 (channels, size, size). Raises InputError if there is none."""
    _refuse_other_channels(channels)
    if isinstance(file, Path) and (kind := find_kind(file)) != "file":
        raise InputError(f"There is no image file '{file}'{'; it is a folder' if kind == 'folder' else ''}.")
    return decode(file, size, channels, bits)


def _read_one(image: Any, channels: int, size: int, bits: int | None, what: str) -> Tensor:
    if isinstance(image, str | os.PathLike):
        return read_file(Path(image), channels, size, bits)
    if isinstance(image, Image.Image):
        _refuse_other_channels(channels)
        try:
            return fit_image(image, size, channels, bits)
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise InputError(f"{what} is a Pillow image that cannot be used ({error}); convert it to RGB.") from error
    if not isinstance(image, np.ndarray | Tensor):
        raise InputError(f"{what} is of type {type(image).__name__}; hand over {ACCEPTED}.")
    planes = _separate(image, channels, size, what, is_one=True)
    if len(planes) != 1:
        raise InputError(f"{what} of a list is to be one image, but its shape is {tuple(image.shape)}.")
    return _fit(planes, channels, size)[0]


def _separate(images: np.ndarray | Tensor, channels: int, size: int, what: str, *, is_one: bool = False) -> Tensor:
    """One image or many, of any size, as uint8 (N, C, H, W) on the CPU; `is_one`: three dimensions are one image."""
    shape = tuple(images.shape)
    if len(shape) == 4:
        place = _channel_axis(shape[1:], channels, size, isinstance(images, Tensor))
    elif len(shape) == 3:
        place = _channel_axis(shape, channels, size, isinstance(images, Tensor))
        if channels == 1 and not is_one and (place != -1 or shape[1:] == (size, size)):
            place = 1  # a batch of grey images, of which there may happen to be three
            images = images[:, None]
        elif place is not None:
            images = images[None]
    else:
        place = 1 if len(shape) == 2 else None
        images = images[None, None]
    if place is None or 0 in images.shape[1:]:
        raise InputError(f"{what} has the shape {shape}, which is not that of images; hand over {ACCEPTED}.")
    planes = _to_tensor(images, what)
    planes = planes.movedim(-1, 1) if place == -1 else planes
    return to_uint8(planes, what) if len(planes) else planes.to(torch.uint8)


def _channel_axis(shape: tuple[int, ...], channels: int, size: int, is_tensor: bool) -> int | None:
    """Where an image of three dimensions has its channels: -1 (last), 1 (first; 1 within a batch), None: nowhere."""
    counts = {1, 3, channels}
    if shape == (channels, size, size) and (is_tensor or shape[-1] not in counts):
        return 1
    if shape == (size, size, channels):
        return -1
    found = [axis for axis, count in ((1, shape[0]), (-1, shape[-1])) if count in counts]
    return None if not found else found[0] if is_tensor else found[-1]


def _to_tensor(images: np.ndarray | Tensor, what: str) -> Tensor:
    if isinstance(images, Tensor):
        if images.is_meta or images.layout is not torch.strided:
            raise InputError(f"{what} is a tensor without dense values; hand over {ACCEPTED}.")
        return images.detach().cpu()
    try:
        # A copy in the byte order of this machine; the array may also be read-only or have negative strides.
        return torch.from_numpy(np.array(images, dtype=images.dtype.newbyteorder("=")))
    except TypeError as error:
        raise InputError(f"{what} holds {images.dtype}; convert it to uint8.") from error


def _fit(planes: Tensor, channels: int, size: int) -> Tensor:
    """Images (N, C, H, W) as (N, channels, size, size)."""
    if planes.shape[1:] == (channels, size, size):
        return planes
    _refuse_other_channels(channels)
    arrays = planes.permute(0, 2, 3, 1).numpy()
    arrays = arrays[..., 0] if arrays.shape[-1] == 1 else arrays
    if not len(arrays):
        return torch.empty(0, channels, size, size, dtype=torch.uint8, device="cpu")
    fitted = [fit_image(Image.fromarray(np.ascontiguousarray(array)), size, channels, None) for array in arrays]
    return torch.stack(fitted)


def _refuse_other_channels(channels: int) -> None:
    if channels not in (1, 3):
        raise InputError(
            f"Image files and images of other sizes have 1 or 3 channels, and this network takes {channels}: hand over "
            f"tensors of its size."
        )
