"""Sparsity measures S: concave functions of the weights of each choice, largest where the weights are equal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor

SCALE = 50.0
"""Steepness of the logarithmic measure in the released code."""


def logarithmic(weights: Tensor, scale: float = SCALE) -> Tensor:
    """S = sum log(1 + scale * alpha_k) over all candidates (Rao et al., SNPS, released code).

    `weights` (choices, candidates) are the normalised alpha; the result is a scalar.
    """
    return (scale * weights).log1p().sum()


def entropy(weights: Tensor) -> Tensor:
    """S = sum of the entropies of all choices, in nats, of weights (choices, candidates).

    The measure is inferred from the name of FX-DARTS's "entropy-based super-network shrinking"; its formula could
    not be read.
    """
    present = weights.clamp_min(1e-12)
    return -(weights * present.log()).sum()


def uniform_value(measure: str, scale: float, candidates: float) -> float:
    """The contribution to S of one choice with `candidates` equal weights (need not be a whole number)."""
    return math.log(candidates) if measure == "entropy" else candidates * math.log1p(scale / candidates)


def equal_candidates(value: Callable[[float], float], widths: Sequence[int], target: float) -> float:
    """The number n for which choices of min(n, width) equal candidates have a total sparsity of `target`.

    `value` returns the contribution of one choice of n equal candidates, which grows with n. The result is found by
    bisection; it is at least 1 and in general no whole number.
    """
    few, many = 1.0, float(max(widths))
    for _ in range(50):
        middle = (few + many) / 2
        too_many = sum(value(min(middle, width)) for width in widths) > target
        few, many = (few, middle) if too_many else (middle, many)
    return few
