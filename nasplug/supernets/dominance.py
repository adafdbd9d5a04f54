"""Which points of a list no earlier point equals or beats in every measure.

Divide and conquer (Kung, Luccio & Preparata, On Finding the Maxima of a Set of Vectors, J. ACM 1975): O(N log N) for
one measure, O(N log^2 N) for two, and a further factor of at most log N for each more.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
FEW = 64
"""Points that are compared with one another all at once."""
PAIRS = 1 << 14
"""Pairs of points in more than two measures that are compared all at once."""


def find_undominated(values: Values) -> npt.NDArray[np.intp]:
    """The positions among N points, (measures, N), for which no earlier position has values at most as large in all.

    Without measures, only the first position is left.
    """
    count = values.shape[1]
    if count <= FEW:
        dominated = np.triu((values[:, :, None] <= values[:, None, :]).all(0), 1).any(0)
        return np.flatnonzero(~dominated)
    half = count // 2
    head = find_undominated(values[:, :half])
    tail = half + np.flatnonzero(~are_dominated(values[:, half:], values[:, head]))
    return np.concatenate([head, tail[find_undominated(values[:, tail])]])


def are_dominated(points: Values, by: Values) -> Flags:
    """For each of `points`, (measures, N), whether one of `by`, (measures, M), is at most as large in all measures."""
    measures, count = points.shape
    if measures == 0 or by.shape[1] == 0 or count == 0:
        return np.full(count, by.shape[1] > 0)
    if measures == 1:
        return np.asarray(points[0] >= by[0].min())
    if measures == 2:
        return _are_above(points, by)
    if measures > 2 and count * by.shape[1] <= PAIRS:
        return np.asarray((by[:, :, None] <= points[:, None, :]).all(0).any(0))
    if by[0].max() <= points[0].min():
        return are_dominated(points[1:], by[1:])
    return _divide(points, by)


def _are_above(points: Values, by: Values) -> Flags:
    """`are_dominated` for two measures: whether a point lies on or above the staircase of `by`."""
    order = np.argsort(by[0], kind="stable")
    # The least second value among those whose first is at most that of each point.
    least = np.minimum.accumulate(by[1][order])
    place = np.searchsorted(by[0][order], points[0], side="right") - 1
    return np.asarray((place >= 0) & (least[place] <= points[1]))


def _divide(points: Values, by: Values) -> Flags:
    """`are_dominated` by parts: those with small and with large first values, which are not all the same."""
    first = np.concatenate([points[0], by[0]])
    pivot = np.partition(first, (len(first) - 1) // 2)[(len(first) - 1) // 2]
    if pivot == first.max():
        pivot = first[first < pivot].max()
    low, by_low = points[0] <= pivot, by[0] <= pivot
    dominated = np.zeros(points.shape[1], dtype=bool)
    dominated[low] = are_dominated(points[:, low], by[:, by_low])
    # The first value of every small one is below that of every large one, so that only the others are left to compare.
    dominated[~low] = are_dominated(points[1:, ~low], by[1:, by_low])
    left = ~low & ~dominated
    dominated[left] = are_dominated(points[:, left], by[:, ~by_low])
    return dominated
