"""Drop path: branches that are left out of some images in training (Larsson et al., FractalNet, ICLR 2017)."""

from __future__ import annotations

from torch import Tensor


def drop_path(x: Tensor, probability: float) -> Tensor:
    """Zeroes whole samples of (N, C, H, W) with this probability and scales the others to keep the mean (DARTS)."""
    return x * drop_path_mask(x, probability)


def drop_path_mask(x: Tensor, probability: float) -> Tensor:
    """The factors (N, 1, 1, 1) of the samples of a map in `drop_path`: 0, or the inverse of the share that is kept."""
    keep = 1.0 - probability
    return x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(keep) / keep
