"""The search space of NAS-Bench-201 (Dong & Yang, ICLR 2020), and the table of its trained architectures."""

from __future__ import annotations

from nasplug.builtin.nb201.genotype import to_string
from nasplug.builtin.nb201.space import NasBench201

__all__ = ["NasBench201", "to_string"]
