"""Rotates, shears and translates images (nearest neighbour) by tables that name the source of every pixel."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from nasplug.parts.transfer import send

GEOMETRY = ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")


def apply_geometry(images: Tensor, name: str, strength: float) -> Tensor:
    """Applies one operation of GEOMETRY to images (N, C, H, W); pixels without a source are zeros.

    `strength`, from -1 to 1, is the share of the largest magnitude of AutoAugment: 30 degrees, a shear of 0.3, or
    150/331 of the width or height. The result equals that of torchvision's functionals with nearest-neighbour
    interpolation.
    """
    return gather_pixels(images, _sources(name, strength, images.shape[2], images.shape[3], images.device))


def gather_pixels(images: Tensor, sources: Tensor, fill: int = 0) -> Tensor:
    """Images (N, C, H, W) whose pixels come from elsewhere in the same image.

    `sources`, int64 (H * W,), names the source of every pixel, counted from 1 in rows; 0 stands for the value `fill`.
    """
    bordered = torch.nn.functional.pad(images.flatten(2), (1, 0), value=fill)
    return bordered.gather(2, sources.expand(*images.shape[:2], -1)).view_as(images)


@cache
def _sources(name: str, strength: float, height: int, width: int, device: torch.device) -> Tensor:
    """The index of the source of every pixel of the result, counted from 1; 0 for none. int64 (height * width,).

    The table is cached on the device, since torchvision's functionals make the host wait for a transfer in every call.
    """
    # float32 represents the indices of images of up to 4096x4096 pixels exactly; larger ones need float64.
    pixels = torch.arange(1, height * width + 1, dtype=torch.float32 if height * width < 1 << 24 else torch.float64)
    pixels = pixels.reshape(1, 1, height, width)
    moved: Tensor
    if name == "Rotate":
        moved = F.rotate(pixels, angle=strength * 30)
    elif name in ("ShearX", "ShearY"):
        angle = math.degrees(math.atan(strength * 0.3))
        shear = [angle, 0.0] if name == "ShearX" else [0.0, angle]
        moved = F.affine(pixels, angle=0, translate=[0, 0], scale=1, shear=shear, center=[0, 0])
    else:
        along, side = (0, width) if name == "TranslateX" else (1, height)
        translate = [0, 0]
        translate[along] = int(strength * side * 150 / 331)
        moved = F.affine(pixels, angle=0, translate=translate, scale=1, shear=[0, 0])
    return send(moved.to(torch.int64).flatten(), device)
