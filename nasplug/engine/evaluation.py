"""How good a trained network is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

import attrs
import numpy as np
import numpy.typing as npt
import torch

from nasplug.engine.finite import NonFinite
from nasplug.parts import Batch, Network


@attrs.frozen
class Errors:
    """How many images of each class a network puts into a wrong one."""

    wrong: tuple[int, ...]
    images: tuple[int, ...]
    """All images of each class."""

    @property
    def rate(self) -> float:
        """The share of all images that are wrong, from 0 to 1."""
        return sum(self.wrong) / sum(self.images)

    @property
    def by_class(self) -> list[float | None]:
        """The share of each class, from 0 to 1; None for a class without images."""
        return [wrong / count if count else None for wrong, count in zip(self.wrong, self.images, strict=True)]

    @property
    def balanced(self) -> float:
        """The mean of the shares of the classes that have images, from 0 to 1: one minus the balanced accuracy."""
        known = [error for error in self.by_class if error is not None]
        return sum(known) / len(known)

    @classmethod
    def pooled(cls, parts: Sequence[Errors]) -> Self:
        """Those on several disjoint sets of images together."""
        return cls(
            tuple(map(sum, zip(*(part.wrong for part in parts), strict=True))),
            tuple(map(sum, zip(*(part.images for part in parts), strict=True))),
        )


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
def measure_confusion(net: Network, batches: Iterable[Batch], classes: int) -> Confusion:
    """Counts what `net` answers to the images of each of `classes` classes; leaves the network in eval mode.

    Raises NonFinite if a logit is not finite: NaN would count as the first class.
    """
    net.eval()
    counts: torch.Tensor | None = None
    broken: list[torch.Tensor] = []
    for batch in batches:
        logits = net(batch.images)
        pairs = torch.bincount(classes * batch.labels + logits.argmax(1), minlength=classes**2)
        counts = pairs if counts is None else counts + pairs
        broken.append((~logits.isfinite()).any(1).sum())
    if counts is None:
        raise ValueError("there are no images to evaluate on")
    if count := int(torch.stack(broken).sum()):
        raise NonFinite(f"The answers to {count} of {int(counts.sum())} images are not finite numbers.")
    return Confusion(counts.view(classes, classes).cpu().numpy())


def measure_errors(net: Network, batches: Iterable[Batch], classes: int) -> Errors:
    """The errors of `net`, counted as `measure_confusion` does."""
    return measure_confusion(net, batches, classes).errors
