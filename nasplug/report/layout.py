"""A place for every node, edge and label of a cell, so that none covers another.

A layered drawing (Sugiyama et al., 1981): nodes stand in columns by the longest path that leads to them. Between two
columns of nodes is a column of labels, one for each operation, right before the node that it leads to. All edges from
one node to later ones share one line, from which each branches off just before its label; this keeps a dense cell
readable, where one curve per edge would not. Lines that pass a column take a place in its order as nodes and labels
do, so nothing runs through a label. The order within columns reduces crossings, then heights straighten lines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import attrs

from nasplug.report.layer_order import Links, compute_heights, order_layers
from nasplug.values import Drawing, Edge

GAP, WIDEST_GAP, STEEPNESS = 24.0, 64.0, 4.0
"""Between neighbouring columns, where the curves bend; the gap grows where a curve would be steeper than STEEPNESS."""
HEIGHTS = {"node": 28.0, "label": 17.0, "line": 8.0}
SPACING = 5.0
ROUNDS = 12

Vertex = tuple[str, str, int]
"""What takes a place in a column: ("node", name, 0), ("label", "", edge) or ("line", name of its source, layer)."""


@attrs.frozen
class Box:
    """A rectangle, by its centre."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        """Where lines come in."""
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        """Where lines go out."""
        return self.x + self.width / 2


@attrs.frozen
class Route:
    """One edge: the boxes that it passes, from its source to its target; a label box only if it has an operation."""

    edge: Edge
    stops: tuple[Box, ...]
    label: Box | None
    shared: int
    """How many of the first stops lie on a line that other edges use, too."""


@attrs.frozen
class Picture:
    """A cell with the places of all its nodes and edges."""

    width: float
    height: float
    nodes: dict[str, Box]
    routes: tuple[Route, ...]


def lay_out(drawing: Drawing, width_of: Callable[[str], float]) -> Picture:
    """Places a cell; `width_of` is the width of a text."""
    ranks = _rank_nodes(drawing)
    paths = [_list_vertices(number, edge, ranks) for number, edge in enumerate(drawing.edges)]
    layers = _build_layers(drawing, ranks, paths)
    links: Links[Vertex] = {
        (start, end): (4.0 if start[0] == end[0] == "line" else 1.0) for path in paths for start, end in pairwise(path)
    }
    layers = order_layers(
        layers, links, lambda vertex: drawing.edges[vertex[2]].target if vertex[0] == "label" else vertex, ROUNDS
    )
    boxes = _place_boxes(drawing, layers, links, width_of)
    uses: dict[Vertex, int] = {}
    for path in paths:
        for vertex in path:
            uses[vertex] = uses.get(vertex, 0) + 1
    return Picture(
        width=max((box.right for box in boxes.values()), default=0.0) + 1,
        height=max((box.y + box.height / 2 for box in boxes.values()), default=0.0) + 1,
        nodes={name: boxes["node", name, 0] for name in drawing.nodes},
        routes=tuple(
            Route(
                edge=edge,
                stops=tuple(boxes[vertex] for vertex in path),
                label=boxes.get(("label", "", number)),
                shared=sum(vertex[0] == "line" and uses[vertex] > 1 for vertex in path),
            )
            for number, (edge, path) in enumerate(zip(drawing.edges, paths, strict=True))
        ),
    )


def _rank_nodes(drawing: Drawing) -> dict[str, int]:
    """The longest path to each node; the output stands alone at the far right."""
    ranks = dict.fromkeys(drawing.nodes, 0)
    for node in drawing.nodes:
        ranks[node] = max((ranks[edge.source] + 1 for edge in drawing.edges if edge.target == node), default=0)
    if len(drawing.nodes) > 1:
        ranks[drawing.nodes[-1]] = 1 + max(ranks[node] for node in drawing.nodes[:-1])
    return ranks


def _list_vertices(number: int, edge: Edge, ranks: dict[str, int]) -> list[Vertex]:
    """The vertices of an edge, one per layer. Nodes have the even layers, labels the odd ones."""
    start, end = 2 * ranks[edge.source], 2 * ranks[edge.target]
    between: list[Vertex] = [("line", edge.source, layer) for layer in range(start + 1, end)]
    if edge.operation:
        between[-1] = ("label", "", number)
    return [("node", edge.source, 0), *between, ("node", edge.target, 0)]


def _build_layers(drawing: Drawing, ranks: dict[str, int], paths: Sequence[Sequence[Vertex]]) -> list[list[Vertex]]:
    layers: list[list[Vertex]] = [[] for _ in range(2 * max(ranks.values(), default=0) + 1)]
    for node in drawing.nodes:
        layers[2 * ranks[node]].append(("node", node, 0))
    for path in paths:
        start = 2 * ranks[path[0][1]]
        for layer, vertex in enumerate(path[1:-1], start + 1):
            if vertex not in layers[layer]:
                layers[layer].append(vertex)
    return layers


def _place_boxes(
    drawing: Drawing, layers: list[list[Vertex]], links: Links[Vertex], width_of: Callable[[str], float]
) -> dict[Vertex, Box]:
    def width(vertex: Vertex) -> float:
        kind, name, number = vertex
        if kind == "line":
            return 0.0
        return width_of(name) + 14 if kind == "node" else width_of(drawing.edges[number].operation) + 10

    heights = compute_heights(layers, links, lambda vertex: HEIGHTS[vertex[0]] + SPACING, ROUNDS)
    top = min((heights[vertex] - HEIGHTS[vertex[0]] / 2 for vertex in heights), default=0.0) - 1
    boxes: dict[Vertex, Box] = {}
    rises: dict[Vertex, float] = {}
    for start, end in links:
        rises[start] = max(rises.get(start, 0.0), abs(heights[start] - heights[end]))
    left = 1.0
    for layer in layers:
        # Everything in a column is as wide as its widest text, so that all curves bend between columns only.
        column = max(map(width, layer), default=0.0)
        for vertex in layer:
            boxes[vertex] = Box(left + column / 2, heights[vertex] - top, column, HEIGHTS[vertex[0]])
        steepest = max((rises.get(vertex, 0.0) for vertex in layer), default=0.0)
        left += column + min(max(GAP, steepest / STEEPNESS), WIDEST_GAP)
    return boxes
