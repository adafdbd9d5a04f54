"""One batch of images."""

from __future__ import annotations

import attrs
from torch import Tensor


@attrs.frozen(eq=False)
class Batch:
    """Augmented and normalised images, float32 (N, C, H, W) in channels-last layout, and labels, int64 (N,).

    Each batch equals itself alone, so that it can be the key of what is computed from it.
    """

    images: Tensor
    labels: Tensor
