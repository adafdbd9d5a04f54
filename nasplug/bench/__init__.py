"""Measures the speed of supernets on this machine, relative to plain reference implementations in the same process."""

from __future__ import annotations

from nasplug.bench.loop import LoopCost, loop_cost
from nasplug.bench.supernets import Compared, compare_supernets, find_plain_supernet
from nasplug.bench.timing import Measurement, measure, ratios

__all__ = [
    "Compared",
    "LoopCost",
    "Measurement",
    "compare_supernets",
    "find_plain_supernet",
    "loop_cost",
    "measure",
    "ratios",
]
