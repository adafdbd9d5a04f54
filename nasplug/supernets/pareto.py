"""The exact Pareto front of combinations of rated candidates, one per block (the last step of the search of DNA).

Ratings and costs are sums over blocks, and the cost of a block depends on the block before it only through that block's
interface, such as its width. The front therefore follows from a dynamic programme over the blocks: of all partial
combinations of the first blocks with the same interface, only those are kept that no other dominates in everything that
can still matter. Unlike the traversal in the released code of DNA, this loses no network of the front.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt

from nasplug.values import Costs

Numbers = npt.NDArray[np.int64]
CHUNK = 1 << 20
"""The largest number of sums that are computed at once before dominated ones are dropped."""


@attrs.frozen(eq=False)
class Candidates:
    """The N candidates of one block."""

    ratings: npt.NDArray[np.float64]
    """(N,), finite, the lower the better."""
    interfaces: Numbers
    """(N,): the interface of each towards the next block, numbered from 0."""
    params: Numbers
    """(interfaces of the block before, N): the parameters that each adds after each; one row for the first block."""
    macs: Numbers
    """The multiply-accumulates, of the same shape."""


@attrs.frozen
class Combination:
    """One candidate for each block."""

    chosen: tuple[int, ...]
    """By block, the position of its candidate."""
    rating: float
    """The sum of the ratings of the candidates, added from the first block to the last."""
    cost: Costs


@attrs.frozen(eq=False)
class _States:
    """Partial combinations of all blocks up to one of them, as arrays of equal length."""

    rating: npt.NDArray[np.float64]
    params: Numbers
    macs: Numbers
    interface: Numbers
    candidate: Numbers
    """The candidate of the last of these blocks."""
    parent: Numbers
    """The position of the partial combination of the blocks before it."""

    def select(self, which: npt.NDArray[np.intp]) -> _States:
        return _States(*(column[which] for column in attrs.astuple(self, recurse=False)))

    @classmethod
    def concatenate(cls, parts: Sequence[_States]) -> _States:
        return cls(*map(np.concatenate, zip(*(attrs.astuple(part, recurse=False) for part in parts), strict=True)))


@attrs.frozen
class _Limits:
    """The limits on the whole combination, and the least and most that the remaining blocks add."""

    max_params: int | None
    max_macs: int | None
    least_params: int
    least_macs: int
    most_macs: int

    def filter_within(self, states: _States) -> _States:
        """The states that can, judged by the bounds, be completed within the limits."""
        fits = np.ones(len(states.rating), dtype=bool)
        if self.max_params is not None:
            fits &= states.params + self.least_params <= self.max_params
        if self.max_macs is not None:
            fits &= states.macs + self.least_macs <= self.max_macs
        return states.select(np.flatnonzero(fits))

    def filter_undominated(self, states: _States) -> _States:
        """The states that no other equals or beats in rating, params and, where the limit on them can bind, MACs.

        Of states that are equal in these, the one with the fewest MACs is kept, and of several such the first.
        """
        # With at most this many MACs, no completion can exceed the limit, so that differences do not matter.
        harmless = 0 if self.max_macs is None else self.max_macs - self.most_macs
        return states.select(self.find_front(states.rating, states.params, states.macs, harmless))

    def find_front(
        self, ratings: npt.NDArray[np.float64], params: Numbers, macs: Numbers, harmless: int = 0
    ) -> npt.NDArray[np.intp]:
        """The positions of the undominated ones, in the order of their ratings."""
        order = np.lexsort((macs, params, ratings))
        if self.max_macs is None:
            return order[find_undominated(params[order], np.zeros_like(params))]
        return order[find_undominated(params[order], np.maximum(macs[order], harmless))]


def pareto_front(
    blocks: Sequence[Candidates], max_params: int | None = None, max_macs: int | None = None
) -> list[Combination]:
    """Every combination within the limits that no other one within them equals or beats in both rating and params.

    They are ordered from the fewest params (and the worst rating) to the most. Of combinations with equal rating and
    params one with the fewest MACs is kept. The list is empty if no combination is within the limits.
    """
    zero = np.zeros(1, dtype=np.int64)
    states = _States(np.zeros(1), zero, zero, zero, zero, zero)
    history: list[_States] = []
    for number, block in enumerate(blocks):
        remaining = blocks[number + 1 :]
        limits = _Limits(
            max_params,
            max_macs,
            least_params=sum(int(later.params.min()) for later in remaining),
            least_macs=sum(int(later.macs.min()) for later in remaining),
            most_macs=sum(int(later.macs.max()) for later in remaining),
        )
        states = _extend(states, block, limits)
        history.append(states)
    front = _Limits(None, None, 0, 0, 0).filter_undominated(states)
    return [_trace_combination(history, front, place) for place in reversed(range(len(front.rating)))]


def find_undominated(first: Numbers, second: Numbers) -> npt.NDArray[np.intp]:
    """The positions in two arrays for which no earlier position has values at most as large in both: O(N log^2 N)."""
    if len(first) <= 64:
        dominated = np.triu((first[:, None] <= first) & (second[:, None] <= second), 1).any(0)
        return np.flatnonzero(~dominated)
    half = len(first) // 2
    head = find_undominated(first[:half], second[:half])
    order = np.argsort(first[head], kind="stable")
    # The least `second` among undominated positions whose `first` is at most that of each position.
    least = np.minimum.accumulate(second[head][order])
    place = np.searchsorted(first[head][order], first[half:], side="right") - 1
    tail = half + np.flatnonzero((place < 0) | (least[place] > second[half:]))
    return np.concatenate([head, tail[find_undominated(first[tail], second[tail])]])


def _extend(states: _States, block: Candidates, limits: _Limits) -> _States:
    """The undominated partial combinations with one more block, for each of its interfaces."""
    fronts: list[_States] = []
    for interface in np.unique(block.interfaces):
        candidates = np.flatnonzero(block.interfaces == interface)
        parts = [
            part
            for read in np.unique(states.interface)
            for part in _add_block(
                states, np.flatnonzero(states.interface == read), block, candidates, int(read), limits
            )
        ]
        if parts:
            fronts.append(limits.filter_undominated(_States.concatenate(parts)))
    return _States.concatenate(fronts) if fronts else states.select(np.zeros(0, dtype=np.intp))


def _add_block(
    states: _States,
    parents: npt.NDArray[np.intp],
    block: Candidates,
    candidates: npt.NDArray[np.intp],
    read: int,
    limits: _Limits,
) -> list[_States]:
    """The undominated sums of the states at `parents`, whose interface is `read`, with each of these candidates."""
    undominated = limits.find_front(
        block.ratings[candidates], block.params[read, candidates], block.macs[read, candidates]
    )
    candidates = candidates[undominated]
    step, parts = max(1, CHUNK // len(parents)), []
    for start in range(0, len(candidates), step):
        chunk = candidates[start : start + step]
        parent, candidate = np.repeat(parents, len(chunk)), np.tile(chunk, len(parents))
        sums = _States(
            rating=states.rating[parent] + block.ratings[candidate],
            params=states.params[parent] + block.params[read, candidate],
            macs=states.macs[parent] + block.macs[read, candidate],
            interface=block.interfaces[candidate],
            candidate=candidate,
            parent=parent,
        )
        parts.append(limits.filter_undominated(limits.filter_within(sums)))
    return parts


def _trace_combination(history: Sequence[_States], front: _States, place: int) -> Combination:
    cost = Costs(params=int(front.params[place]), macs=int(front.macs[place]))
    chosen, candidate, parent = [], int(front.candidate[place]), int(front.parent[place])
    for states in reversed(history[:-1]):
        chosen.append(candidate)
        candidate, parent = int(states.candidate[parent]), int(states.parent[parent])
    return Combination((*reversed([*chosen, candidate]),), float(front.rating[place]), cost)
