"""What a pruning schedule says after a step."""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen
class Verdict:
    """What a schedule did and wants after one step."""

    deleted: int = 0
    """Candidates deleted in this step."""
    snapshot: str | None = None
    """Why the architecture as it now stands belongs to the trail ("stall", "epoch", ...), or None."""
    stop: bool = False
    """Whether the search ends here."""
    measures: Mapping[str, float] = attrs.field(factory=dict)
    """Figures for the event of this step, such as S, gamma and mu."""
