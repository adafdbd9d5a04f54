from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from nasplug.data.geometry import GEOMETRY, apply_geometry


def published(images: Tensor, name: str, part: float) -> Tensor:
    height, width = images.shape[2:]
    if name == "Rotate":
        return F.rotate(images, angle=30 * part)
    angle = math.degrees(math.atan(0.3 * part))
    shear = {"ShearX": [angle, 0.0], "ShearY": [0.0, angle]}.get(name)
    if shear:
        return F.affine(images, angle=0, translate=[0, 0], scale=1, shear=shear, center=[0, 0])
    right = int(part * width * 150 / 331) if name == "TranslateX" else 0
    down = int(part * height * 150 / 331) if name == "TranslateY" else 0
    return F.affine(images, angle=0, translate=[right, down], scale=1, shear=[0, 0])


@pytest.mark.parametrize("name", GEOMETRY)
@pytest.mark.parametrize("size", [(8, 8), (9, 14), (32, 32), (31, 5)])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_move_as_in_torchvision(name, size, channels):
    images = torch.randint(1, 256, (5, channels, *size), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    for level in range(-9, 10):
        assert torch.equal(apply_geometry(images, name, level / 9), published(images, name, level / 9))
    assert torch.equal(apply_geometry(images, name, 0.0), images)
    assert not torch.equal(apply_geometry(images, name, 1.0), images)


def test_images_in_another_layout_move_alike():
    images = torch.randint(1, 256, (5, 3, 8, 8), dtype=torch.uint8)
    other = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(apply_geometry(other, "Rotate", 0.5), apply_geometry(images, "Rotate", 0.5))
