"""Random search: the baseline that a search has to beat (Li & Talwalkar, Random Search and Reproducibility, 2019)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

import attrs

from nasplug.parts import ArchitectureOptimizer, Searched, option
from nasplug.parts.paths import distinct
from nasplug.values import Found, Now, Rated, Turn


@attrs.define
class RandomSearch(ArchitectureOptimizer):
    """Trains no supernet: distinct random architectures go straight to retraining."""

    learns_alpha = False
    trains = False

    samples: int = option(4, "architectures to draw", at_least=1)

    def turns(self, now: Now) -> Sequence[Turn]:
        """Nobody moves."""
        return ()

    def decide(self, searched: Searched) -> Iterator[Found | Rated]:
        """Distinct draws from the space, a function of the seed; fewer than asked for where the space is that small."""
        for genotype in distinct(searched.space.random, self.samples, Random(searched.seed)):
            yield Found(genotype=genotype, step=0, reason="random")
