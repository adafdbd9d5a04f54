"""Finished runs side by side: what each method is worth against random and reference networks, over seeds."""

from __future__ import annotations

from nasplug.report.methods.groups import Group, MethodComparison, read_comparison
from nasplug.report.methods.page import write_comparison
from nasplug.report.methods.runs import ComparedRun
from nasplug.report.spread import Spread

__all__ = ["ComparedRun", "Group", "MethodComparison", "Spread", "read_comparison", "write_comparison"]
