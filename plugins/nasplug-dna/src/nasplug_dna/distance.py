"""How far a block's output is from the teacher's: the losses and ratings of DNA (Li et al., CVPR 2020)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

EPS = 1e-9
"""Added to what a distance is divided by (released code)."""

Distance = Callable[[Tensor, Tensor], Tensor]
"""From the student's map and the teacher's, (N, C, H, W) each, to a scalar."""


def mse(ours: Tensor, theirs: Tensor) -> Tensor:
    """|Y - Y'|_2^2 / K, where K is the number of elements: what DNA trains with."""
    return F.mse_loss(ours, theirs)


def mse_over_variance(ours: Tensor, theirs: Tensor) -> Tensor:
    """The same in proportion to the variance of Y: blocks of large and of small features count alike."""
    return mse(ours, theirs) / (theirs.var(correction=0) + EPS)


def relative_l1(ours: Tensor, theirs: Tensor) -> Tensor:
    """|Y - Y'|_1 / (K sigma(Y)): what DNA rates with. It has no scale, so that blocks can be added."""
    return F.l1_loss(ours, theirs) / (theirs.std(correction=0) + EPS)


def l1_over_mean(ours: Tensor, theirs: Tensor) -> Tensor:
    """|Y - Y'|_1 / |Y|_1: released beside the rating that is used."""
    return F.l1_loss(ours, theirs) / (theirs.abs().mean() + EPS)


LOSSES: Mapping[str, Distance] = {"mse": mse, "mse-over-variance": mse_over_variance}
RATINGS: Mapping[str, Distance] = {**LOSSES, "relative-l1": relative_l1, "l1-over-mean": l1_over_mean}


def widened(x: Tensor) -> Tensor:
    """The same numbers in float32, or in what they are if that is wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
