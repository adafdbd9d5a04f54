"""Rating all paths of a trained supernet, and combining the best (Li et al., DNA, CVPR 2020).

The paths through each block, or through the network where it has no blocks, are rated on images on which the weights
were not trained, with batch norm statistics measured for each path. The decision is exact: the Pareto front of all
combinations of rated paths in summed rating and params.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random

import attrs

from nasplug.builtin.selectors.front_selection import price_paths, select_front
from nasplug.parts import SearchState, Selector, option
from nasplug.parts.selector import Selected
from nasplug.supernets import PathRating
from nasplug.values import Genotype, Rated
from nasplug.values.seeds import derive_seed

RATING = "train.rating"


@attrs.define
class Rating(Selector):
    """Rates all paths of every block, or a sample of them, and keeps the front of their combinations.

    Who rates a block is the teacher's matter: the distance to a teacher's block, or the labels.
    """

    score = "rating"

    share: float = option(0.2, "share of the training images that paths are rated on", above=0, below=1)
    images: int = option(1024, "images of that share on which each path is rated, at most", at_least=1)
    limit: int = option(
        10_000, "paths of a block that are rated, at most; a random sample if there are more", at_least=1
    )
    recalibration_images: int = option(
        256, "images of the weights' share on which the norms of each path are measured, at most", at_least=2
    )
    trail: int = option(100, "architectures kept of the Pareto front, evenly in log params; 0 keeps all", at_least=0)

    def check_limits(self, search_state: SearchState) -> None:
        """Raises InputError if the cheapest combination of the paths that will be rated breaks the limits."""
        if search_state.budgets:
            price_paths(
                search_state, {rater.block: self._paths(search_state, rater.block) for rater in search_state.raters}
            )

    def splits(self) -> Mapping[str, float]:
        """One share for the rating."""
        return {RATING: self.share}

    def select(self, search_state: SearchState) -> Iterator[Selected]:
        """Rates the paths without a rating, then combines paths; the combinations depend on the ratings alone.

        Raises InputError, before anything is rated, if no architecture keeps the limits.
        """
        paths = {rater.block: self._paths(search_state, rater.block) for rater in search_state.raters}
        choices, rated = price_paths(search_state, paths), list(search_state.rated)
        for new in self._rate(search_state, paths):
            rated.append(new)
            yield new
        yield from select_front(search_state, choices, rated, self.trail)

    def _paths(self, search_state: SearchState, block: int | None) -> tuple[Genotype, ...]:
        """The paths through a block that are rated."""
        generator = Random(derive_seed(search_state.seed, "paths", block))
        return tuple(search_state.space.paths(block).select(self.limit, generator))

    def _rate(self, search_state: SearchState, paths: Mapping[int | None, Sequence[Genotype]]) -> Iterator[Rated]:
        """The ratings still missing, block by block."""
        done = {block: {rated.path for rated in search_state.rated if rated.block == block} for block in paths}
        raters = {
            rater.block: rater for rater in search_state.raters if not done[rater.block].issuperset(paths[rater.block])
        }
        if search_state.net is None or not raters:
            return
        calibration = list(search_state.images(search_state.weights_split, self.recalibration_images))
        images = list(search_state.images(RATING, self.images))
        for block, rater in raters.items():
            rating = PathRating(search_state.net, search_state.space, rater, calibration, images)
            yield from rating.rate(paths[block], done[block])
