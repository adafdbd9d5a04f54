"""Training with the architecture as it is."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import attrs

from nasplug.parts import ArchitectureOptimizer, Searched
from nasplug.values import Found, Now, Rated, Turn


@attrs.define
class Fixed(ArchitectureOptimizer):
    """Moves the weights alone: the neutral element of its slot, with which stand-alone networks are trained."""

    learns_alpha = False
    decides = False

    def graph_key(self, now: Now) -> Hashable:
        """Nothing more."""
        return ()

    def turns(self, now: Now) -> Sequence[Turn]:
        """The weights, on all training images."""
        return (Turn("train", moves_weights=True, moves_alpha=False),)

    def decide(self, searched: Searched) -> Iterator[Found | Rated]:
        """Nothing besides the trail: no candidate was rated."""
        yield from ()
