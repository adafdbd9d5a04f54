"""Random search: the baseline that a search has to beat (Li & Talwalkar, Random Search and Reproducibility, 2019)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

import attrs

from nasplug.parts import ArchitectureOptimizer, SearchState, option
from nasplug.parts.paths import sample_distinct
from nasplug.values import Found, Rated, StepInfo, Update


@attrs.define
class RandomSearch(ArchitectureOptimizer):
    """Trains no supernet: distinct random architectures go straight to retraining."""

    learns_alpha = False
    trains = False

    samples: int = option(4, "architectures to sample", at_least=1)

    def updates(self, now: StepInfo) -> Sequence[Update]:
        """Updates nothing: there is no supernet to train."""
        return ()

    def decide(self, search_state: SearchState) -> Iterator[Found | Rated]:
        """Up to `samples` distinct samples of the space, a function of the seed; fewer if the space is smaller."""
        for genotype in sample_distinct(search_state.space.random, self.samples, Random(search_state.seed)):
            yield Found(genotype=genotype, step=0, reason="random")
