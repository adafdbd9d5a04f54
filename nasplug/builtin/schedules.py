"""The neutral pruning schedule."""

from __future__ import annotations

from collections.abc import Hashable

import attrs

from nasplug.parts import Choices, PruningSchedule
from nasplug.values import Now, Verdict


@attrs.define
class Keep(PruningSchedule):
    """Presses nothing, deletes nothing, and searches to the last epoch."""

    def graph_key(self, now: Now) -> Hashable:
        """Nothing more."""
        return ()

    def after_step(self, choices: Choices, now: Now) -> Verdict:
        """Goes on."""
        return Verdict()
