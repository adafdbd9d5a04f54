"""Drawings of blocks that are chains of layers."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from nasplug.values import Drawing, Edge


def draw_chain(title: str, operations: Iterable[object]) -> Drawing:
    """The chain of these operations, one or more, which are named by their texts."""
    names = list(map(str, operations))
    nodes = ("in", *map(str, range(1, len(names))), "out")
    edges = [Edge(source, target, name) for (source, target), name in zip(pairwise(nodes), names, strict=True)]
    return Drawing(title, nodes, tuple(edges))
