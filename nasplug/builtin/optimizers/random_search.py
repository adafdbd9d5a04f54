"""Random search: the baseline that a search has to beat (Li & Talwalkar, Random Search and Reproducibility, 2019)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

import attrs

from nasplug.parts import ArchitectureOptimizer, SearchSpace, Supernet, option
from nasplug.values import Found, Genotype, Now, Step, Turn

PATIENCE = 100
"""Draws per wanted architecture before a space is taken to hold no more."""


@attrs.define
class RandomSearch(ArchitectureOptimizer):
    """Trains no supernet: distinct random architectures go straight to retraining."""

    learns_alpha = False
    trains = False

    samples: int = option(4, "architectures to draw", at_least=1)

    def turns(self, now: Now) -> Sequence[Turn]:
        """Nobody moves."""
        return ()

    def decide(self, space: SearchSpace, net: Supernet | None, trail: Sequence[Step], seed: int) -> Iterator[Found]:
        """Distinct draws from the space, a function of the seed; fewer than asked for where the space is that small."""
        generator, drawn = Random(seed), set[Genotype]()
        for _ in range(PATIENCE * self.samples):
            genotype = space.random(generator)
            if genotype not in drawn:
                drawn.add(genotype)
                yield Found(genotype=genotype, step=0, reason="random")
            if len(drawn) == self.samples:
                return
