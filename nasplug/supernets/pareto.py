"""The exact choice among the rated candidates of several blocks, whatever the limits (the last step of DNA's search).

Ratings and costs add up from block to block, and what a block costs depends on the block before it by that block's
interface alone, such as its width. So the best networks of every cost follow from a dynamic programme: of all ways to
fill the first blocks, only those are gone on with that none with the same interface equals or beats in everything that
still matters. Unlike the traversal that DNA's authors released, it loses no network of the front.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt

from nasplug.values import Cost

Numbers = npt.NDArray[np.int64]
CHUNK = 1 << 20
"""States held at once before those that are beaten are dropped."""


@attrs.frozen(eq=False)
class Candidates:
    """The N candidates of one block."""

    ratings: npt.NDArray[np.float64]
    """(N,), finite, the lower the better."""
    interfaces: Numbers
    """(N,): which interface each shows to the next block, numbered from 0."""
    params: Numbers
    """(interfaces of the block before, N): what each adds after each of these; the first block has one row."""
    macs: Numbers
    """The same for multiply-accumulates."""


@attrs.frozen
class Combination:
    """One candidate for each block."""

    chosen: tuple[int, ...]
    rating: float
    """The sum of the candidates' ratings, added from the first block on."""
    cost: Cost


@attrs.frozen(eq=False)
class _States:
    """Ways to fill the blocks up to one of them, as arrays of equal length."""

    rating: npt.NDArray[np.float64]
    params: Numbers
    macs: Numbers
    interface: Numbers
    candidate: Numbers
    """The candidate of the last block."""
    parent: Numbers
    """The way to fill the blocks before it."""

    def at(self, which: npt.NDArray[np.intp]) -> _States:
        return _States(*(column[which] for column in attrs.astuple(self, recurse=False)))

    @classmethod
    def joined(cls, parts: Sequence[_States]) -> _States:
        return cls(*map(np.concatenate, zip(*(attrs.astuple(part, recurse=False) for part in parts), strict=True)))


@attrs.frozen
class _Limits:
    """What a state may cost, and what the blocks still to come add at least and at most."""

    max_params: int | None
    max_macs: int | None
    least_params: int
    least_macs: int
    most_macs: int

    def within(self, states: _States) -> _States:
        """The states that some way to fill the other blocks keeps within the limits, as far as the bounds tell."""
        fits = np.ones(len(states.rating), dtype=bool)
        if self.max_params is not None:
            fits &= states.params + self.least_params <= self.max_params
        if self.max_macs is not None:
            fits &= states.macs + self.least_macs <= self.max_macs
        return states.at(np.flatnonzero(fits))

    def undominated(self, states: _States) -> _States:
        """The states that no other equals or beats in rating, params and, as far as the limit on them can bind, MACs.

        Of equal ones the one with the fewest MACs stays, and of these the first.
        """
        # Up to here no filling of the blocks to come can break the limit.
        harmless = 0 if self.max_macs is None else self.max_macs - self.most_macs
        return states.at(self.front(states.rating, states.params, states.macs, harmless))

    def front(
        self, ratings: npt.NDArray[np.float64], params: Numbers, macs: Numbers, harmless: int = 0
    ) -> npt.NDArray[np.intp]:
        """Where the undominated ones stand, by rating."""
        order = np.lexsort((macs, params, ratings))
        if self.max_macs is None:
            return order[unbeaten(params[order], np.zeros_like(params))]
        return order[unbeaten(params[order], np.maximum(macs[order], harmless))]


def pareto_trail(
    blocks: Sequence[Candidates], max_params: int | None = None, max_macs: int | None = None
) -> list[Combination]:
    """Every combination within the limits that no other within them equals or beats in both rating and params.

    They come from the fewest params (and the worst rating) to the most. Of combinations with equal rating and params
    one with the fewest MACs is taken. The list is empty if none is within the limits.
    """
    zero = np.zeros(1, dtype=np.int64)
    states = _States(np.zeros(1), zero, zero, zero, zero, zero)
    history: list[_States] = []
    for number, block in enumerate(blocks):
        left = blocks[number + 1 :]
        limits = _Limits(
            max_params,
            max_macs,
            least_params=sum(int(each.params.min()) for each in left),
            least_macs=sum(int(each.macs.min()) for each in left),
            most_macs=sum(int(each.macs.max()) for each in left),
        )
        states = _extended(states, block, limits)
        history.append(states)
    front = _Limits(None, None, 0, 0, 0).undominated(states)
    return [_combination(history, front, place) for place in reversed(range(len(front.rating)))]


def unbeaten(first: Numbers, second: Numbers) -> npt.NDArray[np.intp]:
    """The places in two lists at which no earlier place has at most the same in both: O(N log^2 N)."""
    if len(first) <= 64:
        beaten = np.triu((first[:, None] <= first) & (second[:, None] <= second), 1).any(0)
        return np.flatnonzero(~beaten)
    half = len(first) // 2
    head = unbeaten(first[:half], second[:half])
    order = np.argsort(first[head], kind="stable")
    # The least `second` of all unbeaten ones whose `first` is at most that of a place.
    least = np.minimum.accumulate(second[head][order])
    place = np.searchsorted(first[head][order], first[half:], side="right") - 1
    tail = half + np.flatnonzero((place < 0) | (least[place] > second[half:]))
    return np.concatenate([head, tail[unbeaten(first[tail], second[tail])]])


def _extended(states: _States, block: Candidates, limits: _Limits) -> _States:
    """The undominated ways to fill one block more, for each interface that it may show."""
    fronts: list[_States] = []
    for shown in np.unique(block.interfaces):
        candidates = np.flatnonzero(block.interfaces == shown)
        parts = [
            part
            for read in np.unique(states.interface)
            for part in _sums(states, np.flatnonzero(states.interface == read), block, candidates, int(read), limits)
        ]
        if parts:
            fronts.append(limits.undominated(_States.joined(parts)))
    return _States.joined(fronts) if fronts else states.at(np.zeros(0, dtype=np.intp))


def _sums(
    states: _States,
    parents: npt.NDArray[np.intp],
    block: Candidates,
    candidates: npt.NDArray[np.intp],
    read: int,
    limits: _Limits,
) -> list[_States]:
    """Each of these states with each of these candidates, which read its interface, without those that are beaten."""
    alone = limits.front(block.ratings[candidates], block.params[read, candidates], block.macs[read, candidates])
    candidates = candidates[alone]
    step, parts = max(1, CHUNK // len(parents)), []
    for start in range(0, len(candidates), step):
        some = candidates[start : start + step]
        parent, candidate = np.repeat(parents, len(some)), np.tile(some, len(parents))
        sums = _States(
            rating=states.rating[parent] + block.ratings[candidate],
            params=states.params[parent] + block.params[read, candidate],
            macs=states.macs[parent] + block.macs[read, candidate],
            interface=block.interfaces[candidate],
            candidate=candidate,
            parent=parent,
        )
        parts.append(limits.undominated(limits.within(sums)))
    return parts


def _combination(history: Sequence[_States], front: _States, place: int) -> Combination:
    cost = Cost(params=int(front.params[place]), macs=int(front.macs[place]))
    chosen, candidate, parent = [], int(front.candidate[place]), int(front.parent[place])
    for states in reversed(history[:-1]):
        chosen.append(candidate)
        candidate, parent = int(states.candidate[parent]), int(states.parent[parent])
    return Combination((*reversed([*chosen, candidate]),), float(front.rating[place]), cost)
