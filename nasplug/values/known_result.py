"""What a benchmark already knows of an architecture."""

from __future__ import annotations

import attrs


@attrs.frozen
class KnownResult:
    """The errors of one trained architecture in the table of a benchmark, as fractions from 0 to 1."""

    val_error: float
    test_error: float
