"""How far a phase of a run is."""

from __future__ import annotations

import attrs


@attrs.frozen
class Progress:
    """How far a phase is."""

    phase: str
    done: int
    total: int
    """Steps of the whole phase; 0 where there is nothing to count."""
    text: str = ""
