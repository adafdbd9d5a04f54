"""AutoAugment (Cubuk et al., 2019), applied to a batch at a time.

Each image draws a sub-policy of two operations. Images that drew the same operation with the same magnitude go through
torchvision's functional form together, so a batch costs as many calls as it holds different operations. Operations,
magnitudes (on 10 levels) and fill (black) are those of torchvision's `AutoAugment`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from nasplug.data import policies
from nasplug.data.policies import SubPolicy

_UNSIGNED = ("AutoContrast", "Equalize", "Invert", "Posterize", "Solarize")


class Policy:
    """A policy from which images draw their sub-policies."""

    def __init__(self, table: Sequence[SubPolicy]) -> None:
        self.kinds = sorted({(name, level) for policy in table for name, _, level in policy})
        """The operations with their levels, each of them once."""
        self._kind = np.array([[self.kinds.index((name, level)) for name, _, level in policy] for policy in table])
        self._probability = np.array([[probability for _, probability, _ in policy] for policy in table])
        self._signed = np.array([name not in _UNSIGNED for name, _ in self.kinds])

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """A copy of uint8 images (N, C, H, W), C 1 or 3, each changed by a sub-policy of its own."""
        kinds, signs = self.draw(len(images), generator)
        images = images.clone()
        for stage in (0, 1):
            codes = 2 * kinds[:, stage] + (self._signed[kinds[:, stage]] & (signs[:, stage] < 0))
            for code in np.unique(codes[kinds[:, stage] >= 0]).tolist():
                chosen = torch.from_numpy(np.flatnonzero(codes == code)).to(images.device)
                name, level = self.kinds[code // 2]
                images[chosen] = operate(images[chosen], name, level, -1 if code % 2 else 1)
        return images

    def draw(self, count: int, generator: torch.Generator) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """For each of `count` images and both operations: the position in `kinds` (-1: left out), and the sign +-1."""
        policies = torch.randint(0, len(self._kind), (count,), generator=generator).numpy()
        chances = torch.rand((count, 2), generator=generator, dtype=torch.float64).numpy()
        signs = 1 - 2 * torch.randint(0, 2, (count, 2), generator=generator).numpy()
        return np.where(chances < self._probability[policies], self._kind[policies], -1), signs


CIFAR, IMAGENET = Policy(policies.CIFAR), Policy(policies.IMAGENET)


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
    elif name in ("ShearX", "ShearY"):
        angle = math.degrees(math.atan(sign * part * 0.3))
        shear = [angle, 0.0] if name == "ShearX" else [0.0, angle]
        changed = F.affine(images, angle=0, translate=[0, 0], scale=1, shear=shear, center=[0, 0])
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
