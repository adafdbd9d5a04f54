"""Training with the architecture as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from nasplug.parts import ArchitectureOptimizer, SearchState
from nasplug.values import Found, Rated, StepInfo, Update


@attrs.define
class Fixed(ArchitectureOptimizer):
    """Updates the weights only: the neutral part of its slot, with which stand-alone networks are trained."""

    static_graph = True

    learns_alpha = False
    decides = False

    def updates(self, now: StepInfo) -> Sequence[Update]:
        """One update per step: the weights, on all training images."""
        return (Update("train", moves_weights=True, moves_alpha=False),)

    def decide(self, search_state: SearchState) -> Iterator[Found | Rated]:
        """Nothing besides the snapshots: no candidate was compared with another."""
        yield from ()
