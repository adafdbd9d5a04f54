"""MNIST-1D: ten classes of short noisy signals, drawn by a program, which tell small networks apart within seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import torch

from nasplug.data.images import MemoryImages
from nasplug.errors import InputError
from nasplug.parts import DataSource, ImageData


@attrs.frozen
class Mnist1d(DataSource):
    """4000 signals for training and 1000 for the test, 40 samples each, of the package mnist1d (Greydanus, 2020).

    They are drawn anew, always the same; nothing is downloaded. They are shifted at random as they are drawn, so that
    standard augmentation shifts them no further.
    """

    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Draws the signals. Raises InputError if the package is not installed."""
        if location:
            raise InputError(f"Data set 'mnist1d' has no location, but '{location}' was given; use --data mnist1d.")
        drawn = _draw()
        return ImageData(
            name="mnist1d",
            classes=tuple(map(str, range(10))),
            size=drawn["x"].shape[1],
            channels=1,
            train=_to_signals(drawn["x"], drawn["y"]),
            test=_to_signals(drawn["x_test"], drawn["y_test"]),
            flips=False,
            shift=0,
            dims=1,
            dtype="float32",
        )


def _draw() -> dict[str, npt.NDArray[Any]]:
    """What the package draws with the arguments and the seed of its own; the random state of NumPy stays as it was."""
    try:
        from mnist1d.data import get_dataset_args, make_dataset
    except ImportError as error:
        raise InputError(
            f"The data set 'mnist1d' needs a package that is missing ({error}): pip install 'nasplug[mnist1d]'."
        ) from error
    before = np.random.get_state()
    try:
        drawn: dict[str, npt.NDArray[Any]] = make_dataset(get_dataset_args())
    finally:
        np.random.set_state(before)
    return drawn


def _to_signals(values: npt.NDArray[Any], labels: npt.NDArray[Any]) -> MemoryImages:
    """Signals (N, L), which the package draws in float64, as float32 (N, 1, 1, L)."""
    return MemoryImages(torch.from_numpy(values.astype(np.float32))[:, None, None], labels)
