"""One batch of images."""

from __future__ import annotations

import attrs
from torch import Tensor
from torch.nn import functional as F


@attrs.frozen(eq=False)
class Batch:
    """A batch of N labelled images on the device of the run.

    Batches are compared by identity, so that one can be the key of a cache of what was computed from it.
    """

    images: Tensor
    """Augmented and normalised, float32 (N, C, H, W), in channels-last layout."""
    labels: Tensor
    """int64 (N,)."""
    class_weights: Tensor | None = None
    """The weight of each class in the loss, float32 (classes,), the same tensor in all batches; None: all weigh 1."""

    def cross_entropy(self, logits: Tensor, smoothing: float = 0.0) -> Tensor:
        """The cross entropy of `logits`, float32 (N, classes), with the labels: a mean over images by class weight.

        `smoothing` spreads that share of the target evenly over all classes.
        """
        return F.cross_entropy(logits, self.labels, weight=self.class_weights, label_smoothing=smoothing)
