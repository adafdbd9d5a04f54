"""AutoAugment (Cubuk et al., 2019), applied to a whole batch.

A sub-policy of two operations is sampled for each image. Images with the same operation and magnitude are changed
together, so a batch takes as many calls as it has different operations. Operations, magnitudes (10 levels) and fill
(black) are those of torchvision's `AutoAugment`; where its functionals copy from the host to the device in every call
(geometry, sharpness), the same result is computed without such a copy. `CIFAR_PILLOW` differs, see `pillow_operations`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from nasplug.data import policies
from nasplug.data.geometry import GEOMETRY, apply_geometry
from nasplug.data.pillow_operations import apply_pillow_geometry, solarize
from nasplug.data.policies import SubPolicy
from nasplug.parts.transfer import send

Operation = Callable[[Tensor, str, int, int], Tensor]
"""From uint8 images (N, C, H, W), the name of an operation, its level and its sign (1 or -1) to changed images."""

_UNSIGNED = ("AutoContrast", "Equalize", "Invert", "Posterize", "Solarize")


class Policy:
    """An AutoAugment policy: a table of sub-policies, one of which is sampled for each image.

    `apply` makes the operations of the table; those in `unsigned` have one direction, whatever the sign.
    """

    def __init__(self, table: Sequence[SubPolicy], apply: Operation, unsigned: Sequence[str] = _UNSIGNED) -> None:
        self.apply = apply
        self.kinds = sorted({(name, level) for policy in table for name, _, level in policy})
        """The distinct pairs (operation, level) in the table."""
        self._kind = np.array([[self.kinds.index((name, level)) for name, _, level in policy] for policy in table])
        self._probability = np.array([[probability for _, probability, _ in policy] for policy in table])
        self._signed = np.array([name not in unsigned for name, _ in self.kinds])

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """A copy of uint8 images (N, C, H, W), C 1 or 3, each changed by a sub-policy sampled for it."""
        kinds, signs = self.sample(len(images), generator)
        codes = np.where(kinds < 0, -1, 2 * kinds + (self._signed[kinds] & (signs < 0))).T
        order = codes.argsort(1, kind="stable")
        # For both positions in the sub-policy, the images sorted by the operation that they get.
        sorted_images = send(torch.from_numpy(order), images.device)
        images = images.clone()
        for stage in (0, 1):
            present, counts = np.unique(codes[stage], return_counts=True)
            ends = counts.cumsum()
            for code, start, end in zip(present.tolist(), (ends - counts).tolist(), ends.tolist(), strict=True):
                if code >= 0:
                    chosen = sorted_images[stage, start:end]
                    name, level = self.kinds[code // 2]
                    images[chosen] = self.apply(images[chosen], name, level, -1 if code % 2 else 1)
        return images

    def sample(self, count: int, generator: torch.Generator) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """For each of `count` images and both operations, (count, 2): the index in `kinds` (-1: skipped); the sign."""
        policies = torch.randint(0, len(self._kind), (count,), generator=generator).numpy()
        chances = torch.rand((count, 2), generator=generator, dtype=torch.float64).numpy()
        signs = 1 - 2 * torch.randint(0, 2, (count, 2), generator=generator).numpy()
        return np.where(chances < self._probability[policies], self._kind[policies], -1), signs


def apply_operation(images: Tensor, name: str, level: int, sign: int) -> Tensor:
    """Applies one operation to all images. `sign` is the direction of geometric operations and enhancements."""
    strength = level / 9
    if name in GEOMETRY:
        return apply_geometry(images, name, sign * strength)
    if name in _ENHANCE:
        changed: Tensor = _ENHANCE[name](images, 1 + sign * strength * 0.9)
    elif name in _PLAIN:
        changed = _PLAIN[name](images)
    elif name == "Posterize":
        changed = F.posterize(images, bits=8 - round(strength * 4))
    else:
        changed = F.solarize(images, threshold=255 * (1 - strength))
    return changed


def _sharpen(images: Tensor, factor: float) -> Tensor:
    """Blends with a blurred image, except at the border: as in torchvision, but with a kernel created on the device."""
    channels, height, width = images.shape[1:]
    if min(height, width) <= 2:
        return images
    kernel = torch.full((channels, 1, 3, 3), 1 / 13, device=images.device)
    kernel[:, :, 1, 1].fill_(5 / 13)
    pixels = images.to(torch.float32)
    inner = pixels[..., 1:-1, 1:-1]
    blurred = torch.nn.functional.conv2d(pixels, kernel, groups=channels).round_()
    inner.add_(blurred.sub_(inner), alpha=1 - factor)
    return pixels.clamp_(0, 255).to(torch.uint8)


_ENHANCE: dict[str, Callable[[Tensor, float], Tensor]] = {
    "Brightness": F.adjust_brightness,
    "Color": F.adjust_saturation,
    "Contrast": F.adjust_contrast,
    "Sharpness": _sharpen,
}
_PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "AutoContrast": F.autocontrast,
    "Equalize": F.equalize,
    "Invert": F.invert,
}


def apply_pillow_operation(images: Tensor, name: str, level: int, sign: int) -> Tensor:
    """The same for the policy that circulates for Pillow: geometry and solarisation differ from torchvision's.

    Its enhancements (brightness, colour, contrast, sharpness) are torchvision's, up to rounding the same as Pillow's.
    """
    if name in GEOMETRY:
        return apply_pillow_geometry(images, name, sign * level / 9)
    return solarize(images, level / 9) if name == "Solarize" else apply_operation(images, name, level, sign)


CIFAR, IMAGENET = Policy(policies.CIFAR, apply_operation), Policy(policies.IMAGENET, apply_operation)
CIFAR_PILLOW = Policy(policies.CIFAR_PILLOW, apply_pillow_operation, unsigned=("Rotate", *_UNSIGNED))
