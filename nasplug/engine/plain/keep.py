"""The neutral pruning schedule."""

from __future__ import annotations

import attrs

from nasplug.parts import Choices, PruningSchedule
from nasplug.values import StepInfo, Verdict


@attrs.define
class Keep(PruningSchedule):
    """Neither regularises nor deletes, and searches to the last epoch."""

    static_graph = True

    def after_step(self, choices: Choices, now: StepInfo) -> Verdict:
        """Deletes nothing and never stops the search."""
        return Verdict()
