"""Sources of images. A data set is a part like the four slots: registered by name, built from options."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt
from torch import Tensor


class Images(ABC):
    """Labelled images of one size that are read by index.

    Reading must give the same image for an index every time, and may happen in several threads at once.
    """

    labels: npt.NDArray[np.int64]
    """The class of every image, (N,), counted from 0."""

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def read(self, indices: Sequence[int]) -> Tensor:
        """The images at `indices`, uint8 (len(indices), C, H, W), without augmentation or normalisation."""


@attrs.frozen
class ImageData:
    """A loaded data set of square images."""

    name: str
    """What reports and messages call it."""
    classes: tuple[str, ...]
    """The names of the classes, by label."""
    size: int
    """Height and width of every image, in pixels."""
    channels: int
    """1 or 3."""
    train: Images
    """The images for training; validation is held out from them."""
    test: Images | None
    """The images for the test; None: a share of `train` is held out for it."""
    flips: bool = True
    """Whether standard augmentation may flip images left to right (not for digits, whose meaning it would change)."""
    shift: int = 4
    """How far standard augmentation shifts images in each direction, in pixels."""


class DataSource(ABC):
    """Where images come from."""

    @abstractmethod
    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Loads the data set; called once at the start of a command that needs images.

        `location` is what follows the colon in `--data NAME:LOCATION`, or empty; `root` is `--data-root`. Missing files
        may be downloaded only if `download` is set. Raises InputError for data that are missing, damaged, mislabelled
        or too few.
        """
