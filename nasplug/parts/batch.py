"""One batch of images."""

from __future__ import annotations

import attrs
from torch import Tensor


@attrs.frozen(eq=False)
class Batch:
    """A batch of N labelled images on the device of the run.

    Batches are compared by identity, so that one can be the key of a cache of what was computed from it.
    """

    images: Tensor
    """Augmented and normalised, float32 (N, C, H, W), in channels-last layout."""
    labels: Tensor
    """int64 (N,)."""
