"""Who moves on which data."""

from __future__ import annotations

import attrs


@attrs.frozen
class Update:
    """One optimizer step within a step of the search: DARTS takes two (alpha, then weights), SNPS one (both)."""

    split: str
    """The split whose batch is used: "train", or a share of it such as "train.alpha"."""
    moves_weights: bool
    moves_alpha: bool
