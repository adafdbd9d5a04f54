"""What an exported file does on this machine: its errors on test images, and its time for one of them."""

from __future__ import annotations

import time

import attrs
import numpy as np
import torch
from torch import Tensor

from nasplug.results.classifier import Classifier
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


def measure(predict: Predict, reference: Classifier, images: RunImages) -> Measured:
    """Answers `images` by a file that was read back and by its network, and takes the file's time for single ones.

    The median over many images.
    """
    task = reference.task
    encode = task.make_encoder(torch.device("cpu"))
    agreeing = 0
    counts: list[Tensor] = []
    with torch.inference_mode():
        for pixels, labels in images.batches():
            answers, expected = predict(pixels), reference(pixels)
            agreeing += int(task.agree(answers, expected).sum())
            logits = [task.to_logits(each) for each in (answers, expected)]
            counts.append(torch.stack([task.count_errors(each, encode(labels)).sum(1) for each in logits]))
        first, _ = next(images.batches())
        milliseconds = float(np.median(_take_times(predict, first[:1])))
    (wrong, total), (float_wrong, _) = torch.stack(counts).sum(0).tolist()
    return Measured(milliseconds, len(images), agreeing, wrong / total, float_wrong / total)


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
