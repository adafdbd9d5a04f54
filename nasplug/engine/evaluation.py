"""How good a trained network is."""

from __future__ import annotations

from collections.abc import Iterable

import attrs
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


@torch.inference_mode()
def measure_errors(net: Network, batches: Iterable[Batch], classes: int) -> Errors:
    """Counts what `net` answers wrongly, for each of `classes` classes; leaves the network in eval mode.

    Raises NonFinite if a logit is not finite: NaN would count as the first class.
    """
    net.eval()
    counts: list[torch.Tensor] = []
    broken: list[torch.Tensor] = []
    for batch in batches:
        logits = net(batch.images)
        wrong = batch.labels[logits.argmax(1) != batch.labels]
        counts.append(torch.stack([torch.bincount(labels, minlength=classes) for labels in (wrong, batch.labels)]))
        broken.append((~logits.isfinite()).any(1).sum())
    wrong_counts, image_counts = torch.stack(counts).sum(0).tolist()
    if count := int(torch.stack(broken).sum()):
        raise NonFinite(f"The answers to {count} of {sum(image_counts)} images are not finite numbers.")
    return Errors(tuple(wrong_counts), tuple(image_counts))
