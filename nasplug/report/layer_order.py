"""The two steps of a layered drawing that need arithmetic: few crossings, and straight lines."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import TypeVar

Item = TypeVar("Item", bound=Hashable)
Layers = list[list[Item]]
Links = dict[tuple[Item, Item], float]
"""Connections from one layer to the next, and how much each wants to be straight."""


def order_layers(
    layers: Layers[Item], links: Links[Item], group_of: Callable[[Item], Hashable], rounds: int
) -> Layers[Item]:
    """The same layers in an order with few crossings; items of one group that share a layer stay side by side.

    Each item moves to the mean place of its neighbours in the layer before, then in the layer after, to and fro.
    """
    best = layers = [list(layer) for layer in layers]
    fewest = crossings(layers, links)
    forward, backward = _neighbours(links)
    for number in range(rounds):
        if not fewest:
            break
        layers = [list(layer) for layer in layers]
        ways = list(range(1, len(layers))) if number % 2 == 0 else list(range(len(layers) - 2, -1, -1))
        step, neighbours = (-1, backward) if number % 2 == 0 else (1, forward)
        for index in ways:
            places = {item: place for place, item in enumerate(layers[index + step])}
            own = {item: place for place, item in enumerate(layers[index])}
            means = {item: _mean([places[each] for each in neighbours.get(item, ())], own[item]) for item in own}
            groups: dict[Hashable, list[float]] = {}
            for item in own:
                groups.setdefault(group_of(item), []).append(means[item])
            order = {group: (_mean(members, 0), place) for place, (group, members) in enumerate(groups.items())}
            layers[index].sort(key=lambda item: (order[group_of(item)], means[item]))
        met = crossings(layers, links)
        if met < fewest:
            best, fewest = layers, met
    return best


def crossings(layers: Layers[Item], links: Links[Item]) -> int:
    """How many pairs of links cross."""
    forward, _ = _neighbours(links)
    total = 0
    for one, other in pairwise(layers):
        places = {item: place for place, item in enumerate(other)}
        ends = [sorted(places[each] for each in forward.get(item, ())) for item in one]
        total += sum(
            1
            for index, upper in enumerate(ends)
            for lower in ends[index + 1 :]
            for high in upper
            for low in lower
            if high > low
        )
    return total


def place(
    layers: Layers[Item], links: Links[Item], height_of: Callable[[Item], float], rounds: int
) -> dict[Item, float]:
    """A height for every item: in the given order, without overlap, and near those that it is linked with."""
    linked: dict[Item, list[tuple[Item, float]]] = {}
    for (one, other), weight in links.items():
        linked.setdefault(one, []).append((other, weight))
        linked.setdefault(other, []).append((one, weight))
    heights: dict[Item, float] = {}
    for layer in layers:
        total = 0.0
        for item in layer:
            heights[item] = total + height_of(item) / 2
            total += height_of(item)
        for item in layer:
            heights[item] -= total / 2
    for number in range(rounds):
        for layer in layers if number % 2 == 0 else reversed(layers):
            wanted, weights = [], []
            for item in layer:
                pulls = linked.get(item, [(item, 1.0)])
                weights.append(sum(weight for _, weight in pulls))
                wanted.append(sum(heights[other] * weight for other, weight in pulls) / weights[-1])
            gaps = [(height_of(one) + height_of(other)) / 2 for one, other in pairwise(layer)]
            heights |= zip(layer, _apart(wanted, weights, gaps), strict=True)
    return heights


def _apart(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """The values nearest to `wanted` (least squares) that keep their order and at least `gaps` between neighbours.

    Without the gaps this is isotonic regression, solved by merging neighbours that are out of order into blocks.
    """
    offsets = [0.0]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    blocks: list[tuple[float, float, int]] = []
    for value, weight, offset in zip(wanted, weights, offsets, strict=False):
        mean, mass, size = value - offset, weight, 1
        while blocks and blocks[-1][0] > mean:
            before, heavier, more = blocks.pop()
            mean = (mean * mass + before * heavier) / (mass + heavier)
            mass, size = mass + heavier, size + more
        blocks.append((mean, mass, size))
    levels = [mean for mean, _, size in blocks for _ in range(size)]
    return [level + offset for level, offset in zip(levels, offsets, strict=False)]


def _neighbours(links: Links[Item]) -> tuple[dict[Item, list[Item]], dict[Item, list[Item]]]:
    forward: dict[Item, list[Item]] = {}
    backward: dict[Item, list[Item]] = {}
    for one, other in links:
        forward.setdefault(one, []).append(other)
        backward.setdefault(other, []).append(one)
    return forward, backward


def _mean(places: Sequence[float], otherwise: float) -> float:
    return sum(places) / len(places) if places else otherwise
