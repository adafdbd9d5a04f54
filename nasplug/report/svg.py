"""A matplotlib figure as SVG that sits inside the page and takes its colours."""

from __future__ import annotations

import io
import re
from html import escape

import matplotlib.style
from markupsafe import Markup
from matplotlib.figure import Figure

from nasplug.report.style import COLOURS, light

SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "nasplug",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": light("ink"),
    "axes.labelcolor": light("ink"),
    "axes.edgecolor": light("muted"),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": light("rule"),
    "grid.linewidth": 0.7,
    "xtick.color": light("muted"),
    "ytick.color": light("muted"),
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.5,
    "figure.constrained_layout.use": True,
}
"""On top of matplotlib's own defaults; a user's configuration must not change a report."""

use_style = matplotlib.style.context(["default", SETTINGS])
"""Decorates functions that draw a figure and return it as SVG."""


def inline_svg(figure: Figure, name: str, description: str) -> Markup:
    """The figure as one SVG element. `name` keeps its ids apart from those of other figures on the page."""
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
    )
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    box = re.search(r'viewBox="[^"]*"', text)
    head = f'<svg {box[0] if box else ""} role="img" aria-label="{escape(description)}">'
    text = re.sub(r"<svg[^>]*>", lambda _: head, text, count=1)
    text = text.replace("xlink:href=", "href=")
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = text.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    for colour in COLOURS:
        text = text.replace(light(colour), f"var(--{colour})")
    return Markup(text)  # noqa: S704 - drawn by matplotlib, which escapes texts
