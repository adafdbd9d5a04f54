"""What an exported file does on this machine: its errors on test images, and its time for one of them."""

from __future__ import annotations

import time

import attrs
import numpy as np
import torch
from torch import Tensor

from nasplug.results.export.parity import Predict
from nasplug.results.export.run_images import RunImages

WARM_UP, REPEATS, SECONDS = 5, 10, 0.5
"""Images classified before their time is taken; while it is, at least; and for how long at least."""


@attrs.frozen
class Measured:
    """A file beside the network that it was made from; its entries are those of `ExportResult`."""

    milliseconds: float
    images: int
    agreeing: int
    error: float
    float_error: float


def measure(predict: Predict, reference: Predict, images: RunImages) -> Measured:
    """Classifies `images` by a file that was read back and by its network, and takes the file's time for single ones.

    The median over many images.
    """
    agreeing = wrong = float_wrong = 0
    with torch.inference_mode():
        for pixels, labels in images.batches():
            answers, expected = predict(pixels).argmax(1), reference(pixels).argmax(1)
            agreeing += int((answers == expected).sum())
            wrong += int((answers != labels).sum())
            float_wrong += int((expected != labels).sum())
        first, _ = next(images.batches())
        milliseconds = float(np.median(_take_times(predict, first[:1])))
    count = len(images)
    return Measured(milliseconds, count, agreeing, wrong / count, float_wrong / count)


def _take_times(predict: Predict, image: Tensor) -> list[float]:
    """In milliseconds."""
    for _ in range(WARM_UP):
        predict(image)
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(times) < REPEATS or time.perf_counter() < end:
        start = time.perf_counter()
        predict(image)
        times.append(1000 * (time.perf_counter() - start))
    return times
