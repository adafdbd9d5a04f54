"""A drawing of one cell as a graph, independent of how it is laid out and rendered."""

from __future__ import annotations

import attrs


@attrs.frozen
class Edge:
    """One operation, from a node to a later one."""

    source: str
    target: str
    operation: str


@attrs.frozen
class Drawing:
    """The graph of one cell or block."""

    title: str
    nodes: tuple[str, ...]
    """Names in topological order, inputs first and the output last."""
    edges: tuple[Edge, ...]
