"""Rotating, shearing and shifting images by whole pixels, by tables of where each pixel comes from."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from nasplug.parts.transfer import send

GEOMETRY = ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")


def move(images: Tensor, name: str, part: float) -> Tensor:
    """Images (N, C, H, W) after one operation of GEOMETRY, with zeros where they do not reach.

    `part`, from -1 to 1, is the share of AutoAugment's largest magnitude: 30 degrees, a shear of 0.3, or 150/331 of the
    width or height. Pixels are those of torchvision's functional form (nearest neighbour).
    """
    sources = _sources(name, part, images.shape[2], images.shape[3], images.device)
    bordered = torch.nn.functional.pad(images.flatten(2), (1, 0))
    return bordered.gather(2, sources.expand(*images.shape[:2], -1)).view_as(images)


@cache
def _sources(name: str, part: float, height: int, width: int, device: torch.device) -> Tensor:
    """For each pixel of a moved image, the pixel of the image before that it shows, counted from 1, or 0 for none.

    int64 (height * width,). Kept on the device, since torchvision's functional form would have the host wait for a
    transfer in each call.
    """
    # Whole numbers are exact in float32 as far as images of 4096x4096 need them, and in float64 beyond.
    pixels = torch.arange(1, height * width + 1, dtype=torch.float32 if height * width < 1 << 24 else torch.float64)
    pixels = pixels.reshape(1, 1, height, width)
    moved: Tensor
    if name == "Rotate":
        moved = F.rotate(pixels, angle=part * 30)
    elif name in ("ShearX", "ShearY"):
        angle = math.degrees(math.atan(part * 0.3))
        shear = [angle, 0.0] if name == "ShearX" else [0.0, angle]
        moved = F.affine(pixels, angle=0, translate=[0, 0], scale=1, shear=shear, center=[0, 0])
    else:
        along, side = (0, width) if name == "TranslateX" else (1, height)
        translate = [0, 0]
        translate[along] = int(part * side * 150 / 331)
        moved = F.affine(pixels, angle=0, translate=translate, scale=1, shear=[0, 0])
    return send(moved.to(torch.int64).flatten(), device)
