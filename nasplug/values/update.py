"""One optimizer step within a step of the search."""

from __future__ import annotations

import attrs


@attrs.frozen
class Update:
    """What one optimizer step trains, and on which split: DARTS takes two (alpha, then weights), SNPS one (both)."""

    split: str
    """The split whose batch gives the loss: "train", or a share of it such as "train.alpha"."""
    moves_weights: bool
    """Whether the weights, with the adaptors of the stage, are updated."""
    moves_alpha: bool
    """Whether alpha is updated."""
