"""The multi-cell search space of DNA: blocks of inverted residuals, each with cells of several depths and widths."""

from __future__ import annotations

from nasplug.builtin.mbconv.space import MBConvSpace

__all__ = ["MBConvSpace"]
