"""Dropout after the skip connections of a supernet."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import torch
from torch import Tensor

from nasplug.values.seeds import derive_seed


@attrs.frozen
class SkipDropout:
    """Zeroes elements of what skip connections give, and scales the others such that the mean stays the same.

    Information prefers the paths that need no training, so skip connections win in deep supernets; dropout blocks these
    paths in part (Chen et al., Progressive Differentiable Architecture Search, ICCV 2019). The masks are a function of
    the seed: a loss that is computed twice in one step is the same.
    """

    rate: float
    """The probability that an element is zeroed, from 0 to below 1."""
    seed: int
    """The seed of the masks, another one in every step."""

    def sampler(self, place: int, device: torch.device) -> Callable[[Tensor], Tensor]:
        """A function from a map to the map after dropout, with another mask in every call.

        The masks follow from `place`, such as the number of a cell, and from the order of the calls.
        """
        generator = torch.Generator(device).manual_seed(derive_seed(self.seed, place))
        kept = 1 - self.rate

        def drop(x: Tensor) -> Tensor:
            return x * torch.empty_like(x).bernoulli_(kept, generator=generator).div_(kept)

        return drop
