"""A picture of one cell, as a graph that any renderer can lay out."""

from __future__ import annotations

import attrs


@attrs.frozen
class Edge:
    """One operation from a node to a later one."""

    source: str
    target: str
    operation: str


@attrs.frozen
class Drawing:
    """One cell (or block): node names in topological order, inputs first and the output last, and the edges."""

    title: str
    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]
