"""The exact Pareto front of combinations of rated candidates, one per block (the last step of the search of DNA).

Ratings and costs are sums over blocks, and the costs of a block depend on the block before it only through that block's
interface, such as its width. The front therefore follows from a dynamic programme over the blocks: of all partial
combinations of the first blocks with the same interface, only those are kept that no other dominates in everything that
can still matter: the rating, the params, and each limited measure whose limit a completion could exceed. Unlike the
traversal in the released code of DNA, this loses no network of the front.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import attrs
import numpy as np
import numpy.typing as npt

from nasplug.supernets.dominance import find_undominated
from nasplug.values import Budget, Costs

Numbers = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
SIZE = "params"
"""The measure against which the front is drawn."""
NO_LIMITS: Budget = MappingProxyType({})
CHUNK = 1 << 20
"""The largest number of sums that are computed at once before dominated ones are dropped."""


@attrs.frozen(eq=False)
class Candidates:
    """The N candidates of one block."""

    ratings: Values
    """(N,), finite, the lower the better."""
    interfaces: Numbers
    """(N,): the interface of each towards the next block, numbered from 0."""
    costs: Mapping[str, npt.NDArray[np.float64 | np.int64]]
    """By measure, params among them, what each candidate adds after each interface of the block before:
    (interfaces before, N), with one row for the first block. Finite; 0 and negative amounts are allowed. The measures
    are the same for all blocks. Sums are float64, and so exact for whole numbers up to 2^53."""


@attrs.frozen
class Combination:
    """One candidate for each block."""

    chosen: tuple[int, ...]
    """By block, the position of its candidate."""
    rating: float
    """The sum of the ratings of the candidates, added from the first block to the last."""
    costs: Costs
    """By measure, the sum of the costs of the candidates, added likewise."""


def pareto_front(blocks: Sequence[Candidates], budget: Budget = NO_LIMITS) -> list[Combination]:
    """Every combination within the budget that no other one within it equals or beats in both rating and params.

    They are ordered from the fewest params (and the worst rating) to the most. Of combinations with equal rating and
    params one with the least of the other costs is kept, which are compared in the order of the measures. `budget` may
    limit any of the measures that the candidates have; ValueError for others. The list is empty if no combination is
    within it.
    """
    names = _measures(blocks)
    if unknown := set(budget) - set(names):
        raise ValueError(f"limits on {sorted(unknown)}, but the candidates have {list(names)}")
    programme = _Programme.of(blocks, names, budget)
    states, history = _States.start(len(names)), list[_States]()
    for number in range(len(blocks)):
        states = programme.extend(states, number)
        history.append(states)
    states = states.select(np.flatnonzero((states.costs <= programme.limits).all(0)))
    front = states.select(find_front(states.rating, states.costs, np.full_like(programme.limits, np.inf)))
    return [_trace_combination(history, front, place, names) for place in reversed(range(len(front.rating)))]


def least_costs(blocks: Sequence[Candidates]) -> Costs:
    """By measure, the least that any combination costs; the least of two measures may be of two combinations."""
    names = _measures(blocks)
    least = np.zeros((len(names), 1 + int(blocks[-1].interfaces.max())))
    for block in reversed(blocks):
        least = (_stack(block, names) + least[:, None, block.interfaces]).min(-1)
    return Costs(dict(zip(names, least[:, 0].tolist(), strict=True)))


def find_front(ratings: Values, costs: Values, harmless: Values) -> Places:
    """The positions that no other one equals or beats in everything that matters, in the order of their ratings.

    `costs` is (measures, N), params first. They matter as they are, all others above `harmless`, (measures, 1) or
    (measures, N). Of positions that are equal in all of this, that with the lowest costs is left, in the order of the
    measures, and of several such the first.
    """
    order = _sort(ratings, costs)
    above = np.maximum(costs, harmless)[:, order]
    above[0] = costs[0, order]
    differ = (above != above[:, :1]).any(1)
    return order[find_undominated(above[differ])]


@attrs.frozen(eq=False)
class _States:
    """Partial combinations of all blocks up to one of them, as arrays of equal length."""

    rating: Values
    costs: Values
    """(measures, N)."""
    interface: Numbers
    candidate: Places
    """The candidate of the last of these blocks."""
    parent: Places
    """The position of the partial combination of the blocks before it."""

    @classmethod
    def start(cls, measures: int) -> _States:
        """The combination of no blocks."""
        zero = np.zeros(1, dtype=np.intp)
        return cls(np.zeros(1), np.zeros((measures, 1)), np.zeros(1, dtype=np.int64), zero, zero)

    def select(self, which: Places) -> _States:
        return _States(*(column[..., which] for column in attrs.astuple(self, recurse=False)))

    @classmethod
    def concatenate(cls, parts: Sequence[_States]) -> _States:
        columns = zip(*(attrs.astuple(part, recurse=False) for part in parts), strict=True)
        return cls(*(np.concatenate(column, axis=-1) for column in columns))


@attrs.frozen(eq=False)
class _Programme:
    """The blocks and limits as arrays, and the least and most that the blocks still to come add."""

    blocks: Sequence[Candidates]
    costs: Sequence[Values]
    """By block, (measures, interfaces before, candidates)."""
    limits: Values
    """(measures, 1); infinity where there is no limit."""
    slack: Values
    """(measures, 1): more than rounding can change in a sum, so that bounds never exclude what the sums allow."""
    fronts: Sequence[Mapping[tuple[int, int], Places]]
    """By block, interface before and own interface: the candidates that no other such one dominates."""
    least: Sequence[Values]
    """By block, (measures, interfaces before): the least that this and all later blocks add; one more at the end."""
    most: Sequence[Values]
    """The most, if each candidate is undominated."""

    @classmethod
    def of(cls, blocks: Sequence[Candidates], names: Sequence[str], budget: Budget) -> _Programme:
        limits = np.array([[budget.get(name, np.inf)] for name in names], dtype=np.float64)
        matter = np.where(np.isfinite(limits), -np.inf, np.inf)
        costs = [_stack(block, names) for block in blocks]
        fronts = [_find_fronts(block, own, matter) for block, own in zip(blocks, costs, strict=True)]
        last = np.zeros((len(names), 1 + int(blocks[-1].interfaces.max())))
        least, most = [last], [last]
        for block, own, front in zip(reversed(blocks), reversed(costs), reversed(fronts), strict=True):
            kept = np.zeros(own.shape[1:], dtype=bool)
            for (read, _), candidates in front.items():
                kept[read, candidates] = True
            ahead = [own + bound[0][:, None, block.interfaces] for bound in (least, most)]
            least.insert(0, np.where(kept, ahead[0], np.inf).min(-1))
            most.insert(0, np.where(kept, ahead[1], -np.inf).max(-1))
        largest = sum(np.abs(own).max((1, 2)) for own in costs)
        slack = 4 * len(blocks) * np.finfo(np.float64).eps * np.reshape(largest, (-1, 1))
        return cls(blocks, costs, limits, slack, fronts, least, most)

    def extend(self, states: _States, number: int) -> _States:
        """The undominated partial combinations with one more block, for each of its interfaces."""
        fronts = [states.select(np.zeros(0, dtype=np.intp))]
        for interface in np.unique(self.blocks[number].interfaces):
            largest = self.limits + self.slack - self.least[number + 1][:, [interface]]
            # With costs of at most this much, no completion can exceed the limits, so that differences do not matter.
            harmless = self.limits - self.slack - self.most[number + 1][:, [interface]]
            front = fronts[0]
            for sums in self._sums(states, number, int(interface), harmless):
                front = _States.concatenate([front, sums.select(np.flatnonzero((sums.costs <= largest).all(0)))])
                front = front.select(find_front(front.rating, front.costs, harmless))
            fronts.append(front)
        return _States.concatenate(fronts)

    def _sums(self, states: _States, number: int, interface: int, harmless: Values) -> Iterator[_States]:
        """The sums of the states with each candidate of a block that has this interface and can matter, in chunks."""
        block, costs = self.blocks[number], self.costs[number]
        for read in np.unique(states.interface):
            parents = np.flatnonzero(states.interface == read)
            candidates = self.fronts[number][int(read), interface]
            rest = harmless - states.costs[:, parents].max(1, keepdims=True)
            candidates = candidates[find_front(block.ratings[candidates], costs[:, read, candidates], rest)]
            step = max(1, CHUNK // len(parents))
            for start in range(0, len(candidates), step):
                chunk = candidates[start : start + step]
                parent, candidate = np.repeat(parents, len(chunk)), np.tile(chunk, len(parents))
                yield _States(
                    rating=states.rating[parent] + block.ratings[candidate],
                    costs=states.costs[:, parent] + costs[:, read, candidate],
                    interface=block.interfaces[candidate],
                    candidate=candidate,
                    parent=parent,
                )


def _sort(ratings: Values, costs: Values) -> Places:
    """The order by rating, of equal ones by costs, measure by measure; a full sort by all of them is slower."""
    order = np.argsort(ratings, kind="stable")
    same = np.diff(ratings[order], prepend=np.nan, append=np.nan) == 0
    tied = np.flatnonzero(same[1:] | same[:-1])
    among = order[tied]
    order[tied] = among[np.lexsort((*reversed(costs[:, among]), ratings[among]))]
    return order


def _measures(blocks: Sequence[Candidates]) -> tuple[str, ...]:
    """All measures, params first."""
    return (SIZE, *(name for name in blocks[0].costs if name != SIZE))


def _stack(block: Candidates, names: Sequence[str]) -> Values:
    """The costs of a block as one array, (measures, interfaces before, candidates)."""
    return np.stack([np.asarray(block.costs[name], dtype=np.float64) for name in names])


def _find_fronts(block: Candidates, costs: Values, harmless: Values) -> dict[tuple[int, int], Places]:
    """By interface before and own interface, the candidates that no other such one dominates."""
    fronts = {}
    for interface in np.unique(block.interfaces):
        candidates = np.flatnonzero(block.interfaces == interface)
        for read in range(costs.shape[1]):
            undominated = find_front(block.ratings[candidates], costs[:, read, candidates], harmless)
            fronts[read, int(interface)] = candidates[undominated]
    return fronts


def _trace_combination(history: Sequence[_States], front: _States, place: int, names: Sequence[str]) -> Combination:
    costs = Costs(dict(zip(names, front.costs[:, place].tolist(), strict=True)))
    chosen, candidate, parent = [], int(front.candidate[place]), int(front.parent[place])
    for states in reversed(history[:-1]):
        chosen.append(candidate)
        candidate, parent = int(states.candidate[parent]), int(states.parent[parent])
    return Combination((*reversed([*chosen, candidate]),), float(front.rating[place]), costs)
