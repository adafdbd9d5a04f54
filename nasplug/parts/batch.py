"""One batch of images."""

from __future__ import annotations

import attrs
from torch import Tensor


@attrs.frozen
class Batch:
    """Augmented and normalised images, float32 (N, C, H, W) in channels-last layout, and labels, int64 (N,)."""

    images: Tensor
    labels: Tensor
