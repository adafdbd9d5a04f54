"""Cells of an architecture as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

import attrs
from markupsafe import Markup

from nasplug.report.layout import Box, Picture, Route, lay_out
from nasplug.report.style import KINDS
from nasplug.values import Drawing

JOIN = "concat"
"""The name of edges that only gather the nodes of a cell into its output; they need no label."""
NARROW, WIDE = set("fijlrt.,:;|!'()[] "), set("mwMWABCDGHKNOQRUVXY@%&")


def draw_cells(drawings: Sequence[Drawing]) -> list[tuple[str, Markup]]:
    """All cells of one network with their captions; neighbours that are alike are drawn once."""
    groups = [list(group) for _, group in groupby(drawings, key=lambda drawing: (drawing.nodes, drawing.edges))]
    return [(_caption(alike), draw_cell(alike[0])) for alike in groups]


def draw_cell(drawing: Drawing) -> Markup:
    """One cell."""
    unlabelled = (attrs.evolve(edge, operation="") if edge.operation == JOIN else edge for edge in drawing.edges)
    picture = lay_out(attrs.evolve(drawing, edges=tuple(unlabelled)), text_width)
    parts = [
        *_draw_shared_lines(picture),
        *map(_draw_edge, picture.routes),
        *(_draw_node(name, box) for name, box in picture.nodes.items()),
    ]
    svg = Markup(
        '<svg viewBox="0 0 {width:.1f} {height:.1f}" width="{width:.1f}" height="{height:.1f}" role="img" '
        'aria-label="{label}">{body}</svg>'
    )
    return svg.format(width=picture.width, height=picture.height, label=_describe(drawing), body=Markup("").join(parts))


def operation_kind(operation: str) -> str:
    """The kind of an operation, judged by its name: one of KINDS."""
    name = operation.lower()
    for words, kind in (
        (("skip", "identity"), "skip connection"),
        (("pool",), "pooling"),
        (("dil",), "dilated convolution"),
        (("sep",), "separable convolution"),
        (("conv",), "other convolution"),
    ):
        if any(word in name for word in words):
            return kind
    return "other operation"


def text_width(text: str) -> float:
    """Roughly the width of a text at the size of the drawings; fonts differ, so it errs on the wide side."""
    return sum(3.6 if letter in NARROW else 8.6 if letter in WIDE else 6.5 for letter in text)


def _caption(alike: Sequence[Drawing]) -> str:
    """The titles of cells that are alike."""
    titles = list(dict.fromkeys(drawing.title for drawing in alike))
    if len(alike) == 1:
        return titles[0]
    if len(titles) == 1:
        return f"{titles[0]} ({len(alike)} times)"
    return f"{titles[0]} to {titles[-1]} ({len(alike)} alike)" if len(titles) > 2 else " and ".join(titles) + " (alike)"


def _describe(drawing: Drawing) -> str:
    """The cell as text: what each node adds up."""
    inputs: dict[str, list[str]] = {}
    for edge in drawing.edges:
        inputs.setdefault(edge.target, []).append(f"{edge.operation}({edge.source})" if edge.operation else edge.source)
    return "; ".join(f"{node} = {' + '.join(terms)}" for node, terms in inputs.items()) or drawing.title


def _draw_shared_lines(picture: Picture) -> list[Markup]:
    """The lines that several edges share: for each source the longest, which covers the others."""
    longest: dict[str, Route] = {}
    for route in picture.routes:
        if route.shared > (longest[route.edge.source].shared if route.edge.source in longest else 0):
            longest[route.edge.source] = route
    line = Markup('<path d="{}"/>')
    return [line.format(_curve(route.stops[: route.shared + 1], True)) for route in longest.values()]


def _draw_edge(route: Route) -> Markup:
    """What belongs to one edge alone: its line from the shared one (or its source) to its target, and its label."""
    edge = route.edge
    colour = f"var(--{KINDS[operation_kind(edge.operation)]})" if edge.operation else "var(--muted)"
    label = _draw_box(route.label, edge.operation, 8, f"stroke: {colour}") if route.label else ""
    svg = Markup('<g class="edge"><title>{title}</title><path d="{line}" style="stroke: {colour}"/>{label}</g>')
    return svg.format(
        title=f"{edge.source} → {edge.target}" + (f": {edge.operation}" if edge.operation else ""),
        line=_curve(route.stops[route.shared :], False),
        colour=colour,
        label=label,
    )


def _draw_node(name: str, box: Box) -> Markup:
    return Markup('<g class="node">{}</g>').format(_draw_box(box, name, 5))


def _draw_box(box: Box, text: str, radius: int, style: str = "") -> Markup:
    frame = Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="{}"{}/>')
    attribute = Markup(' style="{}"').format(style) if style else ""
    top = box.y - box.height / 2
    words = Markup('<text x="{:.1f}" y="{:.1f}">{}</text>').format(box.x, box.y, text)
    return frame.format(box.left, top, box.width, box.height, radius, attribute) + words


def _curve(stops: Sequence[Box], through: bool) -> str:
    """A line from the right side of the first stop to the last (and `through` it), straight across those between."""
    words = [f"M{stops[0].right:.1f} {stops[0].y:.1f}"]
    for start, end in pairwise(stops):
        middle = (start.right + end.left) / 2
        words.append(f"C{middle:.1f} {start.y:.1f} {middle:.1f} {end.y:.1f} {end.left:.1f} {end.y:.1f}")
        if through or end is not stops[-1]:
            words.append(f"H{end.right:.1f}")
    return "".join(words)
