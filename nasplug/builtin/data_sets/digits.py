"""The handwritten digits that come with scikit-learn: small enough for a first run anywhere, without a download."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import attrs
import numpy as np
import torch

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
        rows = np.loadtxt(find_digits(), delimiter=",")
        pixels = torch.from_numpy(np.round(rows[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8))
        return ImageData(
            name="digits",
            classes=tuple(map(str, range(10))),
            size=8,
            channels=1,
            train=MemoryImages(pixels[:, None].contiguous(), rows[:, -1].astype(np.int64)),
            test=None,
            flips=False,
            shift=1,
        )


def find_digits() -> Path:
    """The file of scikit-learn that holds the digits: in each row 64 pixels and a label.

    It is read without scikit-learn, whose import takes longer than everything else that happens before a search.
    Raises InputError if there is no such file.
    """
    package = find_spec("sklearn")
    folders = [Path(folder) for folder in package.submodule_search_locations or ()] if package is not None else []
    for folder in folders:
        if (file := folder / "datasets" / "data" / "digits.csv.gz").is_file():
            return file
    where = f"in {' or '.join(map(str, folders))}" if folders else "and scikit-learn is not installed"
    raise InputError(
        f"The data set 'digits' is a file of scikit-learn, datasets/data/digits.csv.gz, but there is none {where}; "
        f"install scikit-learn, or choose other data by --data."
    )
