"""The two steps of a layered drawing that compute: an order with few crossings, and heights with straight lines."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
from scipy.optimize import isotonic_regression

Item = TypeVar("Item", bound=Hashable)
Layers = list[list[Item]]
Links = dict[tuple[Item, Item], float]
"""Connections from one layer to the next, and how strongly each should be straight."""


def order_layers(
    layers: Layers[Item], links: Links[Item], group_of: Callable[[Item], Hashable], rounds: int
) -> Layers[Item]:
    """The same layers in an order with few crossings; items of one group that share a layer stay side by side.

    The barycentre heuristic (Sugiyama et al., 1981): each item moves to the mean place of its neighbours in the layer
    before, then of those in the layer after, in turn.
    """
    best = layers = [list(layer) for layer in layers]
    fewest = count_crossings(layers, links)
    successors, predecessors = _neighbours(links)
    for number in range(rounds):
        if not fewest:
            break
        layers = [list(layer) for layer in layers]
        if number % 2 == 0:
            indices, step, neighbours = range(1, len(layers)), -1, predecessors
        else:
            indices, step, neighbours = range(len(layers) - 2, -1, -1), 1, successors
        for index in indices:
            places = {item: place for place, item in enumerate(layers[index + step])}
            layers[index] = _order_layer(layers[index], places, neighbours, group_of)
        crossings = count_crossings(layers, links)
        if crossings < fewest:
            best, fewest = layers, crossings
    return best


def count_crossings(layers: Layers[Item], links: Links[Item]) -> int:
    """How many pairs of links cross."""
    successors, _ = _neighbours(links)
    total = 0
    for layer, following in pairwise(layers):
        places = {item: place for place, item in enumerate(following)}
        ends = [sorted(places[neighbour] for neighbour in successors.get(item, ())) for item in layer]
        total += sum(
            1
            for index, upper in enumerate(ends)
            for lower in ends[index + 1 :]
            for high in upper
            for low in lower
            if high > low
        )
    return total


def compute_heights(
    layers: Layers[Item], links: Links[Item], size_of: Callable[[Item], float], rounds: int
) -> dict[Item, float]:
    """A height for every item: in the given order, `size_of` apart, and near those of the items it is linked with."""
    linked: dict[Item, list[tuple[Item, float]]] = {}
    for (source, target), weight in links.items():
        linked.setdefault(source, []).append((target, weight))
        linked.setdefault(target, []).append((source, weight))
    heights: dict[Item, float] = {}
    for layer in layers:
        total = 0.0
        for item in layer:
            heights[item] = total + size_of(item) / 2
            total += size_of(item)
        for item in layer:
            heights[item] -= total / 2
    for number in range(rounds):
        for layer in layers if number % 2 == 0 else reversed(layers):
            targets, weights = [], []
            for item in layer:
                neighbours = linked.get(item, [(item, 1.0)])
                weights.append(sum(weight for _, weight in neighbours))
                targets.append(sum(heights[other] * weight for other, weight in neighbours) / weights[-1])
            gaps = [(size_of(upper) + size_of(lower)) / 2 for upper, lower in pairwise(layer)]
            heights |= zip(layer, _keep_apart(targets, weights, gaps), strict=True)
    return heights


def _order_layer(
    layer: Sequence[Item],
    places: dict[Item, int],
    neighbours: dict[Item, list[Item]],
    group_of: Callable[[Item], Hashable],
) -> list[Item]:
    """A layer by the mean `places` of its items' neighbours; groups by the mean over their items."""
    means = {
        item: _mean([places[neighbour] for neighbour in neighbours.get(item, ())], place)
        for place, item in enumerate(layer)
    }
    groups: dict[Hashable, list[float]] = {}
    for item in layer:
        groups.setdefault(group_of(item), []).append(means[item])
    order = {group: (_mean(members, 0), place) for place, (group, members) in enumerate(groups.items())}
    return sorted(layer, key=lambda item: (order[group_of(item)], means[item]))


def _keep_apart(targets: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """The values nearest to `targets` (least squares) that keep their order and at least `gaps` between neighbours."""
    if not targets:
        return []
    offsets = np.concatenate([[0.0], np.cumsum(gaps)])
    levels = isotonic_regression(np.array(targets) - offsets, weights=np.array(weights)).x
    return [float(height) for height in levels + offsets]


def _neighbours(links: Links[Item]) -> tuple[dict[Item, list[Item]], dict[Item, list[Item]]]:
    """For each item the items that it leads to, and those that lead to it."""
    successors: dict[Item, list[Item]] = {}
    predecessors: dict[Item, list[Item]] = {}
    for source, target in links:
        successors.setdefault(source, []).append(target)
        predecessors.setdefault(target, []).append(source)
    return successors, predecessors


def _mean(places: Sequence[float], default: float) -> float:
    return sum(places) / len(places) if places else default
