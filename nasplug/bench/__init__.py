"""Measures the speed of supernets on this machine, relative to plain reference implementations in the same process."""

from __future__ import annotations

from nasplug.bench.loop import LoopCost, loop_cost
from nasplug.bench.plain import PLAIN, plain_supernet
from nasplug.bench.supernets import Compared, compare_supernets
from nasplug.bench.timing import Measurement, measure, ratios

__all__ = [
    "PLAIN",
    "Compared",
    "LoopCost",
    "Measurement",
    "compare_supernets",
    "loop_cost",
    "measure",
    "plain_supernet",
    "ratios",
]
