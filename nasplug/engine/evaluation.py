"""How good a trained network is."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasplug.engine.finite import NonFinite
from nasplug.parts import Batch, Errors, Network
from nasplug.parts.classification import count_answers


@attrs.frozen(eq=False)
class Confusion:
    """Which classes a network takes for which."""

    counts: npt.NDArray[np.int64]
    """Images by their class (rows) and the class that the network answers (columns)."""

    @property
    def errors(self) -> Errors:
        """What of it is wrong, by class."""
        images = self.counts.sum(1)
        return Errors(tuple((images - self.counts.diagonal()).tolist()), tuple(images.tolist()))

    def to_entries(self) -> list[list[int]]:
        """Class, answer and number of images, for each pair that occurs: few, even of a thousand classes."""
        return [[int(true), int(answer), int(self.counts[true, answer])] for true, answer in np.argwhere(self.counts)]


@torch.inference_mode()
def measure_confusion(net: Network, batches: Iterable[Batch]) -> Confusion:
    """Counts what `net` answers to the images of each class; leaves the network in eval mode.

    Raises NonFinite if a logit is not finite: NaN would count as the first class.
    """
    return Confusion(_sum_over(net, batches, lambda logits, batch: count_answers(logits, batch.labels)).numpy())


@torch.inference_mode()
def measure_errors(net: Network, batches: Iterable[Batch]) -> Errors:
    """The errors of `net` by output; leaves the network in eval mode. Raises NonFinite as `measure_confusion` does."""
    sums = _sum_over(net, batches, lambda logits, batch: batch.task.count_errors(logits, batch.labels))
    wrong, total = sums.tolist()
    return Errors(tuple(wrong), tuple(total))


def _sum_over(net: Network, batches: Iterable[Batch], count: Callable[[Tensor, Batch], Tensor]) -> Tensor:
    """The sum over batches of what is counted in the logits of each, on the CPU."""
    net.eval()
    sums: Tensor | None = None
    images, broken = 0, list[Tensor]()
    for batch in batches:
        logits = net(batch.images)
        counts = count(logits, batch)
        sums = counts if sums is None else sums + counts
        images += len(batch.labels)
        broken.append((~logits.isfinite()).any(1).sum())
    if sums is None:
        raise ValueError("there are no images to evaluate on")
    if number := int(torch.stack(broken).sum()):
        raise NonFinite(f"The answers to {number} of {images} images are not finite numbers.")
    return sums.cpu()
