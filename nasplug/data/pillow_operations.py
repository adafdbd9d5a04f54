"""The operations in which the AutoAugment policy for Pillow differs from torchvision's.

The policy circulates as `CIFAR10Policy` (github.com/DeepVoltaire/AutoAugment). Pixels without a source are grey (128),
rotation has one direction, shears are bicubic, translations are rounded to the nearest pixel (torchvision: towards
zero), and solarisation begins at 256 (1 - strength). Results equal those of Pillow.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nasplug.data.geometry import gather_pixels
from nasplug.parts.transfer import send

FILL = 128
"""The value, in every channel, of pixels without a source."""


def apply_pillow_geometry(images: Tensor, name: str, strength: float) -> Tensor:
    """Applies one operation of `geometry.GEOMETRY` to uint8 images (N, C, H, W).

    `strength`, from -1 to 1, is the share of the largest magnitude: 30 degrees anticlockwise, a shear of 0.3, or
    150/331 of the width or height.
    """
    height, width = images.shape[2:]
    if name == "ShearX":
        return _shear_rows(images, 0.3 * strength)
    if name == "ShearY":
        return _shear_rows(images.transpose(2, 3), 0.3 * strength).transpose(2, 3)
    return gather_pixels(images, _sources(name, strength, height, width, images.device), FILL)


def solarize(images: Tensor, strength: float) -> Tensor:
    """Inverts the pixels of uint8 images that are at least 256 (1 - strength), with strength from 0 to 1."""
    return torch.where(images < 256 * (1 - strength), images, 255 - images)


@cache
def _sources(name: str, strength: float, height: int, width: int, device: torch.device) -> Tensor:
    """The source of every pixel, as `gather_pixels` reads it, from Pillow itself; cached on the device."""
    pixels = Image.fromarray(np.arange(1, height * width + 1, dtype=np.int32).reshape(height, width))
    if name == "Rotate":
        moved = pixels.rotate(30 * strength)
    else:
        along, side = (2, width) if name == "TranslateX" else (5, height)
        affine = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        affine[along] = strength * 150 / 331 * side
        moved = pixels.transform(pixels.size, Image.Transform.AFFINE, affine)
    return send(torch.from_numpy(np.array(moved, dtype=np.int64)).flatten(), device)


def _shear_rows(images: Tensor, slope: float) -> Tensor:
    """Moves the centre of every pixel (x, y) from (x + slope y, y), interpolated between four pixels of the row."""
    sources, fraction, inside = _cubic_sources(slope, images.shape[2], images.shape[3], images.device)
    pixels = images.double()
    a, b, c, d = (pixels.gather(3, taps.expand(*images.shape[:2], -1, -1)) for taps in sources)
    # The cubic through b and c whose slopes there are (c - a) and (d - b), in the order in which Pillow computes it.
    cubic = b + fraction * (c - a + fraction * (2 * (a - b) + c - d + fraction * (b - a - c + d)))
    return torch.where(inside, cubic.clamp(0, 255).to(torch.uint8), FILL)


@cache
def _cubic_sources(slope: float, height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Where the pixels of the result come from, cached on the device.

    The columns of their four sources, int64 (4, height, width); the position between the inner two, float64 (height,
    width); whether it lies inside the image, bool (height, width).
    """
    rows, columns = torch.arange(height).double()[:, None] + 0.5, torch.arange(width).double() + 0.5
    exact = columns + slope * rows
    inside = (exact >= 0) & (exact < width)
    exact = exact - 0.5
    first = exact.floor()
    taps = torch.stack([first + offset for offset in (-1, 0, 1, 2)]).clamp(0, width - 1).long()
    return send(taps, device), send(exact - first, device), send(inside, device)
