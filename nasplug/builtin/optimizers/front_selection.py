"""From rated paths through blocks to the Pareto front of architectures."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence

import attrs
import numpy as np

from nasplug.errors import InputError, RunFailure
from nasplug.parts import SearchSpace, SearchState
from nasplug.supernets import Candidates, Combination, pareto_front
from nasplug.values import Costs, Found, Genotype, ImageShape, Rated


@attrs.frozen(eq=False)
class PathChoice:
    """The alternative paths through one block, with their costs and ratings."""

    block: int | None
    """None: the whole network."""
    paths: tuple[Genotype, ...]
    candidates: Candidates
    """The numbers of the paths, in their order; ratings are 0 until `with_ratings` sets them."""

    def with_ratings(self, ratings: Mapping[tuple[int | None, Genotype], float]) -> PathChoice:
        """The paths that have a finite rating, with their ratings; RunFailure if there are none."""
        values = np.array([ratings.get((self.block, path), math.nan) for path in self.paths])
        finite = np.flatnonzero(np.isfinite(values))
        if len(finite) == 0:
            where = "the network" if self.block is None else f"block {self.block}"
            raise RunFailure(
                f"No path through {where} has a rating that is a number, so the supernet has not learnt; a lower "
                f"learning rate may help: start again with a smaller search.lr."
            )
        candidates = Candidates(
            ratings=values[finite],
            interfaces=self.candidates.interfaces[finite],
            params=self.candidates.params[:, finite],
            macs=self.candidates.macs[:, finite],
        )
        return PathChoice(self.block, tuple(self.paths[index] for index in finite), candidates)


def price_paths(search_state: SearchState, paths: Mapping[int | None, Sequence[Genotype]]) -> list[PathChoice]:
    """Computes the cost of every path, for each block in order; InputError if the cheapest paths break the limits."""
    choices: list[PathChoice] = []
    before: Sequence[Genotype | None] = (None,)  # for each interface of the block before, a path that has it
    for block, alternatives in sorted(paths.items(), key=lambda item: item[0] or 0):
        space = search_state.cost_model.space
        by_interface: dict[Hashable, Genotype] = {}
        interfaces = [None if block is None else space.interface(block, path) for path in alternatives]
        for interface, path in zip(interfaces, alternatives, strict=True):
            by_interface.setdefault(interface, path)
        numbers = {interface: number for number, interface in enumerate(by_interface)}
        costs = [
            [_path_cost(space, block, path, path_before, search_state.shape) for path in alternatives]
            for path_before in before
        ]
        candidates = Candidates(
            ratings=np.zeros(len(alternatives)),
            interfaces=np.array([numbers[interface] for interface in interfaces], dtype=np.int64),
            params=np.array([[cost.params for cost in row] for row in costs], dtype=np.int64),
            macs=np.array([[cost.macs for cost in row] for row in costs], dtype=np.int64),
        )
        choices.append(PathChoice(block, tuple(alternatives), candidates))
        before = tuple(by_interface.values())
    _refuse_impossible(search_state, [choice.candidates for choice in choices])
    return choices


def select_front(
    search_state: SearchState, choices: Sequence[PathChoice], rated: Sequence[Rated], keep: int
) -> Iterator[Found]:
    """The Pareto front of summed rating against params, within the limits, from the fewest params to the most.

    At most `keep` architectures, evenly in log params; 0 keeps all.
    """
    ratings = {(rating.block, rating.path): rating.rating for rating in rated}
    known = [choice.with_ratings(ratings) for choice in choices]
    front = pareto_front([choice.candidates for choice in known], *_limits(search_state))
    if not front:
        _refuse_impossible(search_state, [choice.candidates for choice in known])
    step = search_state.snapshots[-1].step if search_state.snapshots else 0
    for combination in thin_front(front, keep):
        genotype = Genotype.join(choice.paths[index] for choice, index in zip(known, combination.chosen, strict=True))
        yield Found(genotype=genotype, step=step, reason="rated", measures={"rating": combination.rating})


def thin_front(front: Sequence[Combination], keep: int) -> list[Combination]:
    """At most `keep` of a front in its order, evenly in log params, always with the last, which has the most params."""
    if keep == 0 or len(front) <= keep:
        return list(front)
    sizes = [math.log(max(combination.cost.params, 1)) for combination in front]
    dropped = list(range(len(front)))
    for target in np.linspace(sizes[-1], sizes[0], keep):
        dropped.remove(min(dropped, key=lambda index: abs(sizes[index] - target)))
    return [combination for index, combination in enumerate(front) if index not in dropped]


def _limits(search_state: SearchState) -> tuple[int | None, int | None]:
    """The most params and MACs."""
    budget = search_state.budgets[0] if search_state.budgets else {}
    params, macs = budget.get("params"), budget.get("macs")
    return None if params is None else int(params), None if macs is None else int(macs)


def _path_cost(
    space: SearchSpace, block: int | None, path: Genotype, before: Genotype | None, shape: ImageShape
) -> Costs:
    return space.cost(path, shape) if block is None else space.path_cost(block, path, before, shape)


def _refuse_impossible(search_state: SearchState, blocks: Sequence[Candidates]) -> None:
    """Raises InputError if no combination of paths keeps the limits."""
    free = [attrs.evolve(block, ratings=np.zeros_like(block.ratings)) for block in blocks]
    if pareto_front(free, *_limits(search_state)):
        return
    least = pareto_front(free)[0].cost
    # The same programme with params and MACs exchanged finds the fewest MACs.
    fewest = pareto_front([attrs.evolve(block, params=block.macs, macs=block.params) for block in free])[0].cost.params
    limits = zip(("params", "MACs"), _limits(search_state), strict=True)
    asked = " and ".join(f"at most {limit} {name}" for name, limit in limits if limit is not None)
    raise InputError(
        f"No architecture that the rated paths can be combined to has {asked}: the smallest has {least.params} params "
        f"and {least.macs} MACs, and the fewest MACs are {fewest}. Raise --max-params or --max-macs; in a run that is "
        f"under way, raise select.max_params or select.max_macs in its recipe.toml, then go on with: nasplug resume RUN"
    )
