"""Cells of an architecture as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby, pairwise

import attrs

from nasplug.report.layout import Box, Picture, Route, layout
from nasplug.report.style import KINDS
from nasplug.values import Drawing

JOIN = "concat"
"""The name of edges that only gather the nodes of a cell into its output; they need no label."""
NARROW, WIDE = set("fijlrt.,:;|!'()[] "), set("mwMWABCDGHKNOQRUVXY@%&")


def draw_cells(drawings: Sequence[Drawing]) -> str:
    """All cells of one network; neighbours that are alike are drawn once, under a title that names them all."""
    figures = []
    for _, group in groupby(drawings, key=lambda each: (each.nodes, each.edges)):
        alike = list(group)
        title = f"<figcaption>{escape(_title(alike))}</figcaption>"
        figures.append(f'<figure>{title}<div class="scroll">{draw_cell(alike[0])}</div></figure>')
    return f'<div class="cells">{"".join(figures)}</div>'


def draw_cell(drawing: Drawing) -> str:
    """One cell."""
    unlabelled = (attrs.evolve(edge, operation="") if edge.operation == JOIN else edge for edge in drawing.edges)
    picture = layout(attrs.evolve(drawing, edges=tuple(unlabelled)), text_width)
    width, height = f"{picture.width:.1f}", f"{picture.height:.1f}"
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(_in_words(drawing))}">{_lines(picture)}'
        f"{''.join(map(_edge, picture.routes))}{''.join(_node(name, box) for name, box in picture.nodes.items())}</svg>"
    )


def kind_of(operation: str) -> str:
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


def _title(alike: Sequence[Drawing]) -> str:
    titles = list(dict.fromkeys(each.title for each in alike))
    if len(alike) == 1:
        return titles[0]
    if len(titles) == 1:
        return f"{titles[0]} ({len(alike)} times)"
    return f"{titles[0]} to {titles[-1]} ({len(alike)} alike)" if len(titles) > 2 else " and ".join(titles) + " (alike)"


def _in_words(drawing: Drawing) -> str:
    inputs: dict[str, list[str]] = {}
    for edge in drawing.edges:
        inputs.setdefault(edge.target, []).append(f"{edge.operation}({edge.source})" if edge.operation else edge.source)
    return "; ".join(f"{node} = {' + '.join(terms)}" for node, terms in inputs.items()) or drawing.title


def _lines(picture: Picture) -> str:
    """The lines that several edges share: for each source the longest, which covers the others."""
    longest: dict[str, Route] = {}
    for route in picture.routes:
        if route.shared > (longest[route.edge.source].shared if route.edge.source in longest else 0):
            longest[route.edge.source] = route
    return "".join(f'<path d="{_curve(each.stops[: each.shared + 1], True)}"/>' for each in longest.values())


def _edge(route: Route) -> str:
    """What belongs to one edge alone: its way from the shared line (or its source) to its target, and its label."""
    edge = route.edge
    colour = f"var(--{KINDS[kind_of(edge.operation)]})" if edge.operation else "var(--muted)"
    label = ""
    if route.label:
        box = route.label
        label = (
            f'<rect x="{box.left:.1f}" y="{box.y - box.height / 2:.1f}" width="{box.width:.1f}" '
            f'height="{box.height:.1f}" rx="8" style="stroke: {colour}"/>'
            f'<text x="{box.x:.1f}" y="{box.y:.1f}">{escape(edge.operation)}</text>'
        )
    title = f"{edge.source} → {edge.target}" + (f": {edge.operation}" if edge.operation else "")
    return (
        f'<g class="edge"><title>{escape(title)}</title>'
        f'<path d="{_curve(route.stops[route.shared :], False)}" style="stroke: {colour}"/>{label}</g>'
    )


def _node(name: str, box: Box) -> str:
    return (
        f'<g class="node"><rect x="{box.left:.1f}" y="{box.y - box.height / 2:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="5"/><text x="{box.x:.1f}" y="{box.y:.1f}">{escape(name)}</text></g>'
    )


def _curve(stops: Sequence[Box], through: bool) -> str:
    """A line from the right side of the first stop to the last (and `through` it), straight across those between."""
    words = [f"M{stops[0].right:.1f} {stops[0].y:.1f}"]
    for one, other in pairwise(stops):
        middle = (one.right + other.left) / 2
        words.append(f"C{middle:.1f} {one.y:.1f} {middle:.1f} {other.y:.1f} {other.left:.1f} {other.y:.1f}")
        if through or other is not stops[-1]:
            words.append(f"H{other.right:.1f}")
    return "".join(words)
