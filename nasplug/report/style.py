"""The colours of pages and charts; the style sheet itself is a template.

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

ROLES = {"found": ("found", "o"), "random": ("random", "X"), "reference": ("purple", "D")}
"""By role of a network its colour, and its marker in charts."""

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


def light(name: str) -> str:
    """The colour of this name on a light page."""
    return COLOURS[name][0]
