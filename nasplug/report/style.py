"""Colours and style sheet of the page.

Hues are those of Okabe and Ito, which people with any common colour blindness tell apart; the dark set is lighter.
"""

from __future__ import annotations

COLOURS = {
    "ink": ("#1b1f24", "#e6e9ee"),
    "muted": ("#5b6570", "#a2abb6"),
    "rule": ("#d5dae0", "#3a424d"),
    "card": ("#fafbfd", "#1d2229"),
    "page": ("#ffffff", "#15191f"),
    "found": ("#0072b2", "#56b4ea"),
    "random": ("#d55e00", "#f08a3c"),
    "green": ("#009e73", "#2ec99b"),
    "purple": ("#b8578f", "#d98bb9"),
    "orange": ("#b87a00", "#e7a10a"),
    "sky": ("#2f93c8", "#8accf1"),
    "brown": ("#7a5a3a", "#c0a07c"),
}
"""For each name the colour on a light page and on a dark one. Charts are drawn with the first and refer to the name."""

SERIES = ("found", "random", "green", "purple", "orange", "sky", "brown")
"""Colours of curves, in order."""

KINDS = {
    "separable convolution": "found",
    "dilated convolution": "random",
    "other convolution": "purple",
    "pooling": "green",
    "skip connection": "muted",
    "other operation": "orange",
}
"""Colour of each kind of operation in drawings of cells."""


def style_sheet() -> str:
    """The whole style sheet."""
    return _variables(0) + "@media (prefers-color-scheme: dark) {" + _variables(1) + "}" + SHEET


def light(name: str) -> str:
    """The colour of this name on a light page."""
    return COLOURS[name][0]


def _variables(scheme: int) -> str:
    return ":root {" + "".join(f"--{name}: {pair[scheme]};" for name, pair in COLOURS.items()) + "}\n"


SHEET = """
:root { color-scheme: light dark; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem clamp(.8rem, 3vw, 2.5rem) 4rem; max-width: 84rem; color: var(--ink);
  background: var(--page); font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: .5rem 0; }
h2 { font-size: 1.25rem; margin: 2.4rem 0 .6rem; padding-top: .8rem; border-top: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { max-width: 75ch; margin: .5rem 0; }
a { color: var(--found); }
.lead { font-size: 1.15rem; }
.small, figcaption, caption { color: var(--muted); font-size: .875rem; }
.state { border-left: .3rem solid var(--random); padding: .3rem .8rem; background: var(--card); }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; margin: .5rem 0; }
caption { text-align: left; caption-side: bottom; padding-top: .3rem; }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule); }
thead th { color: var(--muted); font-weight: 600; white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; }
tr.best td { font-weight: 600; background: var(--card); }
tbody th { font-weight: normal; color: var(--muted); }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .85rem; }
pre { background: var(--card); border: 1px solid var(--rule); border-radius: .4rem; padding: .7rem .9rem;
  white-space: pre-wrap; overflow-wrap: anywhere; user-select: all; }
.item { display: inline-block; white-space: nowrap; margin-right: 1em; }
.dot { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .4em; }
.charts, .tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); gap: 1.2rem; }
.charts { align-items: start; }
figure { margin: 0; min-width: 0; }
.chart { background: var(--card); border: 1px solid var(--rule); border-radius: .5rem; padding: .6rem;
  max-width: 46rem; }
.chart svg { display: block; width: 100%; height: auto; color: var(--ink); }
.chart svg text { font-family: inherit !important; }
.cells { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
.cells figure { background: var(--card); border: 1px solid var(--rule); border-radius: .5rem; padding: .7rem;
  max-width: 100%; }
.cells svg { display: block; font-size: 11px; }
.cells figcaption { margin-bottom: .4rem; }
.cells .node rect { fill: var(--page); stroke: var(--ink); stroke-width: 1.2; }
.cells text { fill: var(--ink); text-anchor: middle; dominant-baseline: central; }
.cells path { fill: none; stroke-width: 1.6; stroke: var(--muted); }
.cells .edge rect { fill: var(--page); stroke-width: 1.3; }
.cells .edge:hover path, .cells .edge:hover rect { stroke-width: 3; }
details { margin: .6rem 0; }
summary { cursor: pointer; padding: .2rem 0; }
@media print {
  body { max-width: none; padding: 0; font-size: 11px; }
  .scroll { overflow: visible; }
  .cells svg { max-width: 100%; height: auto; }
  figure, tr { break-inside: avoid; }
  h2, h3, summary { break-after: avoid; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
"""
