"""The neutral selector."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from nasplug.parts import SearchState, Selector
from nasplug.parts.selector import Selected


@attrs.define
class Decoded(Selector):
    """Takes what the search has led to: the snapshots of the schedule, then what the optimizer decides on."""

    decodes = True
    needs_supernet = False

    def select(self, search_state: SearchState) -> Iterator[Selected]:
        """What the optimizer decides on, such as the decoded supernet."""
        if search_state.optimizer is not None:
            yield from search_state.optimizer.decide(search_state)
