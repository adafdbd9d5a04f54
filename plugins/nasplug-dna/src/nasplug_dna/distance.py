"""How far a block's output is from the teacher's: the losses and ratings of DNA (Li et al., CVPR 2020)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

EPS = 1e-9
"""Added to the denominator of a distance (released code)."""

Distance = Callable[[Tensor, Tensor], Tensor]
"""A function of the student's map and the teacher's, both (N, C, H, W), that returns a scalar."""


def mse(ours: Tensor, theirs: Tensor) -> Tensor:
    """|Y - Y'|_2^2 / K, where K is the number of elements: DNA's training loss."""
    return F.mse_loss(ours, theirs)


def mse_over_variance(ours: Tensor, theirs: Tensor) -> Tensor:
    """`mse` divided by the variance of Y, so that blocks with large and with small features have equal weight."""
    return mse(ours, theirs) / (theirs.var(correction=0) + EPS)


def relative_l1(ours: Tensor, theirs: Tensor) -> Tensor:
    """|Y - Y'|_1 / (K sigma(Y)): DNA's rating. It does not depend on the scale of Y, so blocks can be added."""
    return F.l1_loss(ours, theirs) / (theirs.std(correction=0) + EPS)


def l1_over_mean(ours: Tensor, theirs: Tensor) -> Tensor:
    """|Y - Y'|_1 / |Y|_1: a rating in the released code that its search does not use."""
    return F.l1_loss(ours, theirs) / (theirs.abs().mean() + EPS)


LOSSES: Mapping[str, Distance] = {"mse": mse, "mse-over-variance": mse_over_variance}
RATINGS: Mapping[str, Distance] = {**LOSSES, "relative-l1": relative_l1, "l1-over-mean": l1_over_mean}


def to_at_least_float32(x: Tensor) -> Tensor:
    """`x` in float32, or unchanged if its type is wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
