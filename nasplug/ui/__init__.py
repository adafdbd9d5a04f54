"""Progress and results of a run in a terminal."""

from __future__ import annotations

from nasplug.ui.console import PrintableConsole
from nasplug.ui.progress import show_progress
from nasplug.ui.table import class_table, result_table

__all__ = ["PrintableConsole", "class_table", "result_table", "show_progress"]
