"""Measures supernets and stand-alone networks on this machine, beside plain implementations in the same process."""

from __future__ import annotations

from nasplug.bench.loop import LoopCost, loop_cost
from nasplug.bench.networks import ComparedNetwork, compare_network
from nasplug.bench.supernets import Compared, compare_supernets, find_plain_supernet
from nasplug.bench.timing import Measurement, measure, ratios

__all__ = [
    "Compared",
    "ComparedNetwork",
    "LoopCost",
    "Measurement",
    "compare_network",
    "compare_supernets",
    "find_plain_supernet",
    "loop_cost",
    "measure",
    "ratios",
]
