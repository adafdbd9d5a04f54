"""The neutral pruning schedule."""

from __future__ import annotations

import attrs

from nasplug.parts import Choices, PruningSchedule
from nasplug.values import Now, Verdict


@attrs.define
class Keep(PruningSchedule):
    """Presses nothing, deletes nothing, and searches to the last epoch."""

    def after_step(self, choices: Choices, now: Now) -> Verdict:
        """Goes on."""
        return Verdict()
