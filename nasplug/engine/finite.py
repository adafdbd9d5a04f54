"""Numbers that a network cannot be used with: NaN and infinity."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nasplug.errors import RunFailure


class NonFinite(RunFailure):
    """A network that cannot be used, because weights, statistics or answers are NaN or infinite."""


def find_nonfinite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor that holds NaN or infinity; None if all are finite.

    All tensors must be on one device, which is read once.
    """
    floating = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point() and tensor.numel()}
    if not floating:
        return None
    finite = torch.stack([tensor.detach().isfinite().all() for tensor in floating.values()]).tolist()
    return next((name for name, holds in zip(floating, finite, strict=True) if not holds), None)
