"""Finished runs side by side: what each method is worth against random networks of equal size, over seeds."""

from __future__ import annotations

from nasplug.report.methods.groups import Field, Group, read_field
from nasplug.report.methods.page import write_comparison
from nasplug.report.methods.runs import Run
from nasplug.report.methods.spread import Spread

__all__ = ["Field", "Group", "Run", "Spread", "read_field", "write_comparison"]
