"""The report of a run: one HTML file, made from the run folder alone.

Reading it needs a browser and nothing else; making it needs neither torch nor the parts that the run used.
"""

from __future__ import annotations

import nasplug.report.backend  # noqa: F401 - before anything that imports matplotlib
from nasplug.report.page import write_report

__all__ = ["write_report"]
