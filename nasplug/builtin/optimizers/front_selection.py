"""From rated paths through blocks to the architectures that a search settles on."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence

import attrs
import numpy as np

from nasplug.errors import InputError, RunFailure
from nasplug.parts import SearchSpace, SearchState
from nasplug.supernets import Candidates, Combination, pareto_front
from nasplug.values import Cost, Found, Genotype, ImageShape, Rated


@attrs.frozen(eq=False)
class PathChoice:
    """The paths through one block among which is chosen, and what each of them costs."""

    block: int | None
    """None: the whole network."""
    paths: tuple[Genotype, ...]
    candidates: Candidates
    """With ratings of 0 until there are others."""

    def rated(self, ratings: Mapping[tuple[int | None, Genotype], float]) -> PathChoice:
        """The paths that have a finite rating, with it; RunFailure if there are none."""
        found = np.array([ratings.get((self.block, path), math.nan) for path in self.paths])
        fine = np.flatnonzero(np.isfinite(found))
        if len(fine) == 0:
            where = "the network" if self.block is None else f"block {self.block}"
            raise RunFailure(
                f"No path through {where} has a rating that is a number, so the supernet has not learnt; a lower "
                f"learning rate may help: start again with a smaller search.lr."
            )
        candidates = Candidates(
            ratings=found[fine],
            interfaces=self.candidates.interfaces[fine],
            params=self.candidates.params[:, fine],
            macs=self.candidates.macs[:, fine],
        )
        return PathChoice(self.block, tuple(self.paths[place] for place in fine), candidates)


def price_paths(search_state: SearchState, paths: Mapping[int | None, Sequence[Genotype]]) -> list[PathChoice]:
    """The choices of all blocks, in their order; InputError if even their cheapest paths break the limits."""
    choices: list[PathChoice] = []
    before: Sequence[Genotype | None] = (None,)  # for each interface of the block before, a path that shows it
    for block, several in sorted(paths.items(), key=lambda item: item[0] or 0):
        shown: dict[Hashable, Genotype] = {}
        interfaces = [None if block is None else search_state.retrain_space.interface(block, path) for path in several]
        for interface, path in zip(interfaces, several, strict=True):
            shown.setdefault(interface, path)
        numbers = {interface: number for number, interface in enumerate(shown)}
        costs = [
            [_cost(search_state.retrain_space, block, path, one, search_state.shape) for path in several]
            for one in before
        ]
        candidates = Candidates(
            ratings=np.zeros(len(several)),
            interfaces=np.array([numbers[interface] for interface in interfaces], dtype=np.int64),
            params=np.array([[cost.params for cost in row] for row in costs], dtype=np.int64),
            macs=np.array([[cost.macs for cost in row] for row in costs], dtype=np.int64),
        )
        choices.append(PathChoice(block, tuple(several), candidates))
        before = tuple(shown.values())
    _refuse_impossible(search_state, [choice.candidates for choice in choices])
    return choices


def select_front(
    search_state: SearchState, choices: Sequence[PathChoice], rated: Sequence[Rated], keep: int
) -> Iterator[Found]:
    """The Pareto trail of summed rating against params, within the limits, from the fewest params to the most.

    Of more than `keep` architectures so many are kept, evenly in log params; 0 keeps all.
    """
    ratings = {(each.block, each.path): each.rating for each in rated}
    known = [choice.rated(ratings) for choice in choices]
    trail = pareto_front([choice.candidates for choice in known], search_state.max_params, search_state.max_macs)
    if not trail:
        _refuse_impossible(search_state, [choice.candidates for choice in known])
    step = search_state.snapshots[-1].step if search_state.snapshots else 0
    for each in thinned(trail, keep):
        genotype = Genotype.join(choice.paths[place] for choice, place in zip(known, each.chosen, strict=True))
        yield Found(genotype=genotype, step=step, reason="rated", measures={"rating": each.rating})


def thinned(trail: Sequence[Combination], keep: int) -> list[Combination]:
    """So many of a trail in its order, evenly in log params, the one with the most params always among them."""
    if keep == 0 or len(trail) <= keep:
        return list(trail)
    sizes = [math.log(max(each.cost.params, 1)) for each in trail]
    left = list(range(len(trail)))
    for target in np.linspace(sizes[-1], sizes[0], keep):
        left.remove(min(left, key=lambda place: abs(sizes[place] - target)))
    return [each for place, each in enumerate(trail) if place not in left]


def _cost(space: SearchSpace, block: int | None, path: Genotype, before: Genotype | None, shape: ImageShape) -> Cost:
    return space.cost(path, shape) if block is None else space.path_cost(block, path, before, shape)


def _refuse_impossible(search_state: SearchState, blocks: Sequence[Candidates]) -> None:
    """Refuses limits that no way to fill the blocks keeps."""
    free = [attrs.evolve(block, ratings=np.zeros_like(block.ratings)) for block in blocks]
    if pareto_front(free, search_state.max_params, search_state.max_macs):
        return
    least = pareto_front(free)[0].cost
    # The same choice with the costs changed over finds the fewest MACs.
    fewest = pareto_front([attrs.evolve(block, params=block.macs, macs=block.params) for block in free])[0].cost.params
    limits = [("params", search_state.max_params), ("MACs", search_state.max_macs)]
    asked = " and ".join(f"at most {limit} {name}" for name, limit in limits if limit is not None)
    raise InputError(
        f"No architecture that the rated paths can be combined to has {asked}: the smallest has {least.params} params "
        f"and {least.macs} MACs, and the fewest MACs are {fewest}. Raise --max-params or --max-macs; in a run that is "
        f"under way, raise select.max_params or select.max_macs in its recipe.toml, then go on with: nasplug resume RUN"
    )
