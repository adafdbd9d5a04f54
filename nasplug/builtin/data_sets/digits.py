"""The handwritten digits that come with scikit-learn: small enough for a first run anywhere, without a download."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
import torch
from sklearn.datasets import load_digits

from nasplug.data.images import MemoryImages
from nasplug.errors import InputError
from nasplug.parts import DataSource, ImageData


@attrs.frozen
class Digits(DataSource):
    """1797 grey images of 8x8 pixels in ten classes; a part of them serves as the test set."""

    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Takes the images from the installed package; their values from 0 to 16 are spread over 0 to 255."""
        if location:
            raise InputError(f"Data set 'digits' has no location, but '{location}' was given; use --data digits.")
        digits = load_digits()
        pixels = torch.from_numpy(np.round(digits.images * (255 / 16)).astype(np.uint8))
        return ImageData(
            name="digits",
            classes=tuple(map(str, range(10))),
            size=8,
            channels=1,
            train=MemoryImages(pixels[:, None].contiguous(), digits.target),
            test=None,
            flips=False,
            shift=1,
        )
