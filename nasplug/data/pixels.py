"""Converts images as Python programs hold them to one form: uint8 tensors with channels first.

Signals, too, which are told from images by their shape and type (`looks_like_signals`): they become images of one row.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nasplug.data.signal_rows import signals_to_rows
from nasplug.errors import InputError

MODES = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGB"}
"""By mode of Pillow, the mode to convert to, with white where it is transparent. Others would lose more: refused."""
ACCEPTED_IMAGES = (
    "Pillow images, NumPy arrays (H, W) or (H, W, C) and tensors (H, W) or (C, H, W), of uint8 or of floating-point "
    "numbers from 0 to 1"
)


def image_to_pixels(image: object, what: str) -> Tensor:
    """Converts an image to uint8 (C, H, W), a signal to (C, 1, L). InputError, which names it `what`, for any other."""
    if isinstance(image, Image.Image):
        if image.mode not in MODES:
            raise InputError(f"{what} is a Pillow image of mode {image.mode}; convert it to L or RGB.")
        image = np.array(lay_on_white(image)[0].convert(MODES[image.mode]))
    return _to_channels_first(image, 2, what)


def lay_on_white(image: Image.Image) -> tuple[Image.Image, bool]:
    """An image without transparency, white where it was transparent, and whether it was so anywhere."""
    if not image.has_transparency_data:
        return image, False
    layer = image.convert("RGBA")
    transparent = np.array(layer.getchannel("A")).min() < 255
    opaque = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return opaque, bool(transparent)


def batch_to_pixels(images: Tensor | np.ndarray, what: str) -> Tensor:
    """Converts images to uint8 (N, C, H, W): a tensor (N, H, W) or (N, C, H, W), or an array with channels last.

    Signals become (N, C, 1, L), uint8 or float32.
    """
    return _to_channels_first(images, 3, what)


def _to_channels_first(images: object, grey: int, what: str) -> Tensor:
    """Converts one image or many; `grey` is their number of dimensions without one for the channels."""
    if isinstance(images, np.ndarray):
        planes = _from_array(images, what)
    elif isinstance(images, Tensor):
        if images.layout is not torch.strided or images.is_meta:
            kind = "without values (on the device meta)" if images.is_meta else "that is not dense"
            raise InputError(f"{what} is a tensor {kind}; nasplug reads dense ones, such as those of to_dense().")
        planes = images.detach()
    else:
        raise InputError(f"{what} is of type {type(images).__name__}; nasplug reads {ACCEPTED_IMAGES}.")
    if looks_like_signals(planes, grey):
        return _to_rows(planes, grey, what)
    if isinstance(images, np.ndarray) and planes.ndim == grey + 1:
        planes = planes.movedim(-1, -3)
    planes = planes.unsqueeze(-3) if planes.ndim == grey else planes
    channels, height, width = planes.shape[-3:] if planes.ndim == grey + 1 else (0, 0, 0)
    if channels not in (1, 3) or height != width or height == 0:
        signals = ", and signals of whole numbers have the shape (N, C, 1, L)" if images.ndim == grey else ""
        raise InputError(
            f"{what} has the shape {tuple(images.shape)}, but images must be square, with 1 or 3 channels, which come "
            f"last in arrays and first in tensors{signals}; crop, pad or transpose them."
        )
    if planes.numel() == 0:
        raise InputError(f"{what} is empty; at least two images of each class are needed.")
    return to_uint8(planes, what).contiguous()


def looks_like_signals(values: Tensor, grey: int) -> bool:
    """Whether values are signals: (L,), (C, 1, L), or floating-point (C, L), where C is not L; or many of them.

    `grey` is the number of dimensions of grey images, one or many. Whole numbers (C, L), and numbers of as many
    channels as samples, are grey images, which are square.
    """
    if values.ndim not in (grey - 1, grey, grey + 1) or values.shape[-1] < 2:
        return False
    if values.ndim == grey:
        return values.is_floating_point() and values.shape[-2] != values.shape[-1]
    return values.ndim == grey - 1 or values.shape[-2] == 1


def _to_rows(values: Tensor, grey: int, what: str) -> Tensor:
    """Signals as (C, 1, L), or (N, C, 1, L) for many, which `grey` tells apart; floats become float32."""
    values = values.float() if values.is_floating_point() else values
    values = values.squeeze(-2) if values.ndim == grey + 1 else values
    many = values if grey == 3 else values[None]
    rows = signals_to_rows(many, f"{what}, as signals,")
    return rows if grey == 3 else rows[0]


def _from_array(array: np.ndarray, what: str) -> Tensor:
    try:
        # A copy in the byte order of this machine; the array may also be read-only or have negative strides.
        return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("=")))
    except TypeError as error:
        raise InputError(f"{what} holds {array.dtype}; convert it to uint8.") from error


def to_uint8(planes: Tensor, what: str) -> Tensor:
    """Images of uint8 or of floating-point numbers from 0 to 1 as uint8. Raises InputError, which names them `what`."""
    if planes.dtype is torch.uint8:
        return planes
    if not planes.is_floating_point():
        raise InputError(f"{what} holds {str(planes.dtype).removeprefix('torch.')}; convert it to uint8.")
    planes = planes.float()
    low, high = (float(bound) for bound in planes.aminmax())
    if not 0 <= low <= high <= 1:  # also refuses NaN
        raise InputError(
            f"{what} has values from {low:g} to {high:g}, but floating-point images go from 0 to 1; leave "
            f"normalisation out (nasplug normalises by itself), or divide by the largest value."
        )
    return (planes * 255).round().to(torch.uint8)
