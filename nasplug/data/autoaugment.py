"""The AutoAugment policy for CIFAR-10 (Cubuk et al., 2019), applied to a batch at a time.

Each image draws a sub-policy of two operations. Images that drew the same operation with the same magnitude go through
torchvision's functional form together, so a batch costs as many calls as it holds different operations. Operations,
magnitudes (on 10 levels) and fill (black) are those of torchvision's `AutoAugment`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

POLICIES: tuple[tuple[tuple[str, float, int], tuple[str, float, int]], ...] = (
    (("Invert", 0.1, 0), ("Contrast", 0.2, 6)),
    (("Rotate", 0.7, 2), ("TranslateX", 0.3, 9)),
    (("Sharpness", 0.8, 1), ("Sharpness", 0.9, 3)),
    (("ShearY", 0.5, 8), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.5, 0), ("Equalize", 0.9, 0)),
    (("ShearY", 0.2, 7), ("Posterize", 0.3, 7)),
    (("Color", 0.4, 3), ("Brightness", 0.6, 7)),
    (("Sharpness", 0.3, 9), ("Brightness", 0.7, 9)),
    (("Equalize", 0.6, 0), ("Equalize", 0.5, 0)),
    (("Contrast", 0.6, 7), ("Sharpness", 0.6, 5)),
    (("Color", 0.7, 7), ("TranslateX", 0.5, 8)),
    (("Equalize", 0.3, 0), ("AutoContrast", 0.4, 0)),
    (("TranslateY", 0.4, 3), ("Sharpness", 0.2, 6)),
    (("Brightness", 0.9, 6), ("Color", 0.2, 8)),
    (("Solarize", 0.5, 2), ("Invert", 0.0, 0)),
    (("Equalize", 0.2, 0), ("AutoContrast", 0.6, 0)),
    (("Equalize", 0.2, 0), ("Equalize", 0.6, 0)),
    (("Color", 0.9, 9), ("Equalize", 0.6, 0)),
    (("AutoContrast", 0.8, 0), ("Solarize", 0.2, 8)),
    (("Brightness", 0.1, 3), ("Color", 0.7, 0)),
    (("Solarize", 0.4, 5), ("AutoContrast", 0.9, 0)),
    (("TranslateY", 0.9, 9), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.9, 0), ("Solarize", 0.8, 3)),
    (("Equalize", 0.8, 0), ("Invert", 0.1, 0)),
    (("TranslateY", 0.7, 9), ("AutoContrast", 0.9, 0)),
)
"""Sub-policies: twice (operation, probability, level from 0 to 9; 0 where the operation has no magnitude)."""

KINDS = sorted({(name, level) for policy in POLICIES for name, _, level in policy})
_KIND = np.array([[KINDS.index((name, level)) for name, _, level in policy] for policy in POLICIES])
_UNSIGNED = ("AutoContrast", "Equalize", "Invert", "Posterize", "Solarize")
_SIGNED = np.array([name not in _UNSIGNED for name, _ in KINDS])
_PROBABILITY = np.array([[probability for _, probability, _ in policy] for policy in POLICIES])


def autoaugment(images: Tensor, generator: torch.Generator) -> Tensor:
    """A copy of uint8 images (N, C, H, W), C 1 or 3, each changed by a sub-policy of its own."""
    kinds, signs = draw(len(images), generator)
    images = images.clone()
    for stage in (0, 1):
        codes = 2 * kinds[:, stage] + (_SIGNED[kinds[:, stage]] & (signs[:, stage] < 0))
        for code in np.unique(codes[kinds[:, stage] >= 0]).tolist():
            chosen = torch.from_numpy(np.flatnonzero(codes == code)).to(images.device)
            name, level = KINDS[code // 2]
            images[chosen] = operate(images[chosen], name, level, -1 if code % 2 else 1)
    return images


def draw(count: int, generator: torch.Generator) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each of `count` images and both operations: the position in KINDS (-1: left out), and the sign +1 or -1."""
    policies = torch.randint(0, len(POLICIES), (count,), generator=generator).numpy()
    chances = torch.rand((count, 2), generator=generator, dtype=torch.float64).numpy()
    signs = 1 - 2 * torch.randint(0, 2, (count, 2), generator=generator).numpy()
    return np.where(chances < _PROBABILITY[policies], _KIND[policies], -1), signs


def operate(images: Tensor, name: str, level: int, sign: int) -> Tensor:
    """Applies one operation to all images. `sign` turns geometry and enhancement around; others ignore it."""
    part = level / 9
    height, width = images.shape[-2:]
    if name in _ENHANCE:
        changed: Tensor = _ENHANCE[name](images, 1 + sign * part * 0.9)
    elif name in _PLAIN:
        changed = _PLAIN[name](images)
    elif name == "Rotate":
        changed = F.rotate(images, angle=sign * part * 30)
    elif name == "ShearY":
        angle = math.degrees(math.atan(sign * part * 0.3))
        changed = F.affine(images, angle=0, translate=[0, 0], scale=1, shear=[0, angle], center=[0, 0])
    elif name == "TranslateX":
        changed = _translate(images, int(sign * part * width * 150 / 331), 0)
    elif name == "TranslateY":
        changed = _translate(images, 0, int(sign * part * height * 150 / 331))
    elif name == "Posterize":
        changed = F.posterize(images, bits=8 - round(part * 4))
    else:
        changed = F.solarize(images, threshold=255 * (1 - part))
    return changed


def _translate(images: Tensor, right: int, down: int) -> Tensor:
    moved: Tensor = F.affine(images, angle=0, translate=[right, down], scale=1, shear=[0, 0])
    return moved


_ENHANCE: dict[str, Callable[[Tensor, float], Tensor]] = {
    "Brightness": F.adjust_brightness,
    "Color": F.adjust_saturation,
    "Contrast": F.adjust_contrast,
    "Sharpness": F.adjust_sharpness,
}
_PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "AutoContrast": F.autocontrast,
    "Equalize": F.equalize,
    "Invert": F.invert,
}
