"""Signals, of one dimension, in the form of images of one row, which is how networks read them."""

from __future__ import annotations

import torch
from torch import Tensor

from nasplug.data.array_files import describe
from nasplug.errors import InputError


def signals_to_rows(signals: Tensor, what: str) -> Tensor:
    """Signals (N, L) or (N, C, L), uint8 or float32, as (N, C, 1, L).

    Raises InputError, which calls them `what`, for anything else, and for values that are not finite.
    """
    if signals.dtype not in (torch.uint8, torch.float32) or signals.ndim not in (2, 3) or 0 in signals.shape[1:]:
        raise InputError(
            f"{what} must be uint8 or float32 of shape (N, L) or (N, C, L), but they are {describe(signals)}."
        )
    wrong = (~signals.isfinite()).flatten(1).any(1).nonzero()
    if len(wrong):
        raise InputError(
            f"{what} hold NaN or infinity in {len(wrong):,} of {len(signals):,} signals, the first of them number "
            f"{int(wrong[0])}; leave these out, or fill their gaps."
        )
    return (signals[:, None] if signals.ndim == 2 else signals).unsqueeze(2).contiguous()
