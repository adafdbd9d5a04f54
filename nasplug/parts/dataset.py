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
    """Labelled images of one size that can be read by index."""

    labels: npt.NDArray[np.int64]
    """The class of every image."""

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def read(self, indices: Sequence[int]) -> Tensor:
        """The images at `indices`, uint8 (N, C, H, W)."""


@attrs.frozen
class ImageData:
    """A loaded data set. Without test images of its own, `test` is None and a split of `train` serves."""

    name: str
    classes: tuple[str, ...]
    size: int
    channels: int
    train: Images
    test: Images | None
    flips: bool = True
    """Whether a mirrored image is the same thing (digits: no)."""
    shift: int = 4
    """How far standard augmentation shifts images, in pixels."""


class DataSource(ABC):
    """Where images come from."""

    @abstractmethod
    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Reads the data. `location` is what follows the colon of `--data NAME:LOCATION`, or empty.

        `root` is `--data-root`; with `download`, missing files may be fetched. Raises InputError for data that are
        missing, damaged, mislabelled or too few.
        """
