"""Random boxes in images, drawn before the sizes of the images are known."""

from __future__ import annotations

import math
from typing import Self

import attrs
import numpy as np
import numpy.typing as npt
import torch

TRIES = 10
"""Boxes sampled for each image, of which the first that fits is taken, as in torchvision."""
CROP_AREA, CROP_ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)
"""Ranges of area (as a share of the image) and aspect (width / height) of crops in training on ImageNet (Inception)."""


@attrs.frozen(eq=False)
class RandomBoxes:
    """The random numbers of one box for each of N images; `fit` turns them into boxes.

    The share of the area is uniform in a range, the logarithm of the aspect (width / height) uniform in another, and
    the position uniform inside the image.
    """

    areas: npt.NDArray[np.float64]
    """Shares of the area of an image, (N, TRIES)."""
    aspects: npt.NDArray[np.float64]
    """Width / height, (N, TRIES)."""
    positions: npt.NDArray[np.float64]
    """Of the upper left corner, from 0 to 1, down and right, (N, 2)."""
    aspect_range: tuple[float, float]

    @classmethod
    def sample(
        cls,
        count: int,
        generator: torch.Generator,
        areas: tuple[float, float] = CROP_AREA,
        aspects: tuple[float, float] = CROP_ASPECT,
    ) -> Self:
        """Draws the numbers of `count` boxes from these ranges, always as many; by default those of training crops."""
        tries = torch.rand((count, TRIES, 2), generator=generator, dtype=torch.float64).numpy()
        positions = torch.rand((count, 2), generator=generator, dtype=torch.float64).numpy()
        low, high = map(math.log, aspects)
        return cls(
            areas[0] + (areas[1] - areas[0]) * tries[..., 0],
            np.exp(low + (high - low) * tries[..., 1]),
            positions,
            aspects,
        )

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, chosen: slice | list[int]) -> Self:
        """The boxes of some of the images."""
        return attrs.evolve(
            self, areas=self.areas[chosen], aspects=self.aspects[chosen], positions=self.positions[chosen]
        )

    def fit(
        self, sizes: tuple[int, int] | npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """The boxes in images of `sizes`: (height, width) of all images, or one for each, (N, 2).

        Returns the boxes (top, left, height, width), int64 (N, 4), and whether one of TRIES fitted, bool (N,). If none
        did, the box is the largest one in the middle of the image whose aspect is in the range.
        """
        sizes = np.broadcast_to(np.asarray(sizes, np.int64), (len(self), 2))
        area = sizes.prod(1)[:, None] * self.areas
        tried = np.stack([np.sqrt(area / self.aspects), np.sqrt(area * self.aspects)], -1).round().astype(np.int64)
        fits: npt.NDArray[np.bool_] = np.all((tried > 0) & (tried <= sizes[:, None]), axis=-1)
        sides = tried[np.arange(len(self)), fits.argmax(1)]
        fitted: npt.NDArray[np.bool_] = np.any(fits, axis=1)
        corners = (self.positions * (sizes - sides + 1)).astype(np.int64)
        if not fitted.all():
            largest = self._largest(sizes)
            sides = np.where(fitted[:, None], sides, largest)
            corners = np.where(fitted[:, None], corners, (sizes - largest) // 2)
        return np.concatenate([corners, sides], 1), fitted

    def fit_one(self, number: int, height: int, width: int) -> tuple[int, int, int, int]:
        """The box of one image, as `fit` has it; for one at a time this is the faster way."""
        for area, aspect in zip(self.areas[number].tolist(), self.aspects[number].tolist(), strict=True):
            pixels = height * width * area
            rows, columns = round(math.sqrt(pixels / aspect)), round(math.sqrt(pixels * aspect))
            if 0 < rows <= height and 0 < columns <= width:
                down, right = self.positions[number].tolist()
                return int(down * (height - rows + 1)), int(right * (width - columns + 1)), rows, columns
        top, left, rows, columns = self[[number]].fit((height, width))[0][0].tolist()
        return top, left, rows, columns

    def _largest(self, sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Height and width of the largest part of each image whose aspect is in the range, at least one pixel each."""
        low, high = self.aspect_range
        heights, widths = sizes.T
        cut = np.stack([np.minimum(heights, (widths / low).round()), np.minimum(widths, (heights * high).round())], 1)
        return np.maximum(cut.astype(np.int64), 1)
