"""From rated paths through blocks to the Pareto front of architectures."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence

import attrs
import numpy as np

from nasplug.errors import InputError, RunFailure
from nasplug.parts import SearchState
from nasplug.supernets import Candidates, Combination, least_costs, pareto_front
from nasplug.values import Budget, Found, Genotype, Rated, is_within
from nasplug.values.cost import COUNTED


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
            costs={name: costs[:, finite] for name, costs in self.candidates.costs.items()},
        )
        return PathChoice(self.block, tuple(self.paths[index] for index in finite), candidates)


def price_paths(search_state: SearchState, paths: Mapping[int | None, Sequence[Genotype]]) -> list[PathChoice]:
    """Computes the costs of every path, for each block in order; InputError if no combination is within a budget."""
    cost_model, names = search_state.cost_model, _limited_measures(search_state)
    choices: list[PathChoice] = []
    before: Sequence[Genotype | None] = (None,)  # for each interface of the block before, a path that has it
    for block, alternatives in sorted(paths.items(), key=lambda item: item[0] or 0):
        by_interface: dict[Hashable, Genotype] = {}
        interfaces = [None if block is None else cost_model.space.interface(block, path) for path in alternatives]
        for interface, path in zip(interfaces, alternatives, strict=True):
            by_interface.setdefault(interface, path)
        numbers = {interface: number for number, interface in enumerate(by_interface)}
        costs = [[cost_model.path_costs(block, path, each, names) for path in alternatives] for each in before]
        candidates = Candidates(
            ratings=np.zeros(len(alternatives)),
            interfaces=np.array([numbers[interface] for interface in interfaces], dtype=np.int64),
            costs={name: np.array([[cost[name] for cost in row] for row in costs]) for name in (*COUNTED, *names)},
        )
        choices.append(PathChoice(block, tuple(alternatives), candidates))
        before = tuple(by_interface.values())
    for budget in _path_budgets(search_state):
        _refuse_impossible(search_state, budget, [choice.candidates for choice in choices])
    return choices


def select_front(
    search_state: SearchState, choices: Sequence[PathChoice], rated: Sequence[Rated], keep: int
) -> Iterator[Found]:
    """The Pareto front of summed rating against params within each budget, from the fewest params to the most.

    At most `keep` architectures of each front, evenly in log params; 0 keeps all. Several budgets follow one another in
    their order, without what an earlier one has found. Limits on measures whose costs of paths are not known are left
    to whoever has the finished networks.
    """
    ratings = {(rating.block, rating.path): rating.rating for rating in rated}
    known = [choice.with_ratings(ratings) for choice in choices]
    step = search_state.snapshots[-1].step if search_state.snapshots else 0
    found = set[Genotype]()
    for budget in _path_budgets(search_state):
        blocks = [choice.candidates for choice in known]
        front = pareto_front(blocks, budget)
        if not front:
            _refuse_impossible(search_state, budget, blocks)
        for combination in thin_front(front, keep):
            picks = zip(known, combination.chosen, strict=True)
            genotype = Genotype.join(choice.paths[index] for choice, index in picks)
            if genotype not in found:
                found.add(genotype)
                yield Found(genotype=genotype, step=step, reason="rated", measures={"rating": combination.rating})


def thin_front(front: Sequence[Combination], keep: int) -> list[Combination]:
    """At most `keep` of a front in its order, evenly in log params, always with the last, which has the most params."""
    if keep == 0 or len(front) <= keep:
        return list(front)
    sizes = [math.log(max(combination.costs.params, 1)) for combination in front]
    dropped = list(range(len(front)))
    for target in np.linspace(sizes[-1], sizes[0], keep):
        dropped.remove(min(dropped, key=lambda index: abs(sizes[index] - target)))
    return [combination for index, combination in enumerate(front) if index not in dropped]


def _limited_measures(search_state: SearchState) -> list[str]:
    """The measures that a budget limits and whose costs of paths are known, beside params and MACs."""
    cost_model = search_state.cost_model
    limited = {name for budget in search_state.budgets for name in budget}
    return [name for name in cost_model.names if name in limited - {*COUNTED} and cost_model.knows_paths(name)]


def _path_budgets(search_state: SearchState) -> list[Budget]:
    """What each budget says of measures whose costs of paths are known; one without limits where there is none."""
    names = {*COUNTED, *_limited_measures(search_state)}
    budgets = search_state.budgets or [{}]
    return [{name: limit for name, limit in budget.items() if name in names} for budget in budgets]


def _refuse_impossible(search_state: SearchState, budget: Budget, blocks: Sequence[Candidates]) -> None:
    """Raises InputError if no combination of paths is within the budget."""
    if pareto_front([attrs.evolve(block, ratings=np.zeros_like(block.ratings)) for block in blocks], budget):
        return
    least, describe = least_costs(blocks), search_state.cost_model.describe
    together = ", but no single one has all of this" if is_within(least, budget) else ""
    options = " ".join(f"--budget {name}=..." for name in budget)
    raise InputError(
        f"No architecture that the rated paths can be combined to has at most {describe(budget)}: the least that there "
        f"is are {describe({name: least[name] for name in budget})}{together}. Allow more with {options}; in a run "
        f"that is under way, raise the limits in the section budget of its recipe.toml, then go on with: "
        f"nasplug resume RUN"
    )
