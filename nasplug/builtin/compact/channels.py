"""The channels of maps in a supernet whose widths share their weights.

A narrower layer consists of the first channels of the widest one. So only as many channels are computed as the widest
width that counts has, and a mask scales the channels that narrower ones lack (Wan et al., FBNetV2, CVPR 2020). It
scales the affine parameters of batch norms, so that with a single width a layer computes exactly the layer of the
stand-alone network of that width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs
import torch
from torch import Tensor


@attrs.frozen(eq=False)
class Channels:
    """The channels of a map that are computed, always the first ones."""

    count: int
    mask: Tensor | None
    """(count,): by how much each of them counts, the sum of the weights of the widths that have it; None: fully."""

    def factors(self, norms: int) -> Tensor | None:
        """The mask as factors of the channels of several batch norms side by side, (norms, count)."""
        return None if self.mask is None else self.mask.expand(norms, -1)

    def expanded_factors(self, expansions: Sequence[int]) -> Tensor | None:
        """The same for maps that are wider by these factors, as (channels, 1).

        A channel becomes as many neighbours, so that the channels of a narrower map are the first ones again.
        """
        if self.mask is None:
            return None
        return torch.cat([self.mask.repeat_interleave(expansion) for expansion in expansions])[:, None]


def narrow(weight: Tensor, outputs: int, inputs: int | None = None) -> Tensor:
    """The weights of the first output channels and, if given, the first input channels of a layer."""
    if inputs is not None and inputs < weight.shape[1]:
        weight = weight[:, :inputs]
    return weight[:outputs] if outputs < weight.shape[0] else weight


def join(maps: Iterable[Tensor]) -> Tensor:
    """Maps (N, C, H, W) side by side in channels."""
    parts = list(maps)
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)
