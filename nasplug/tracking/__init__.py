"""Brings runs into experiment trackers such as MLflow and W&B: what their observer packages have in common.

A package has a `Tracker`, and two hooks that call `follow` and `finish`. Importing this module imports no torch.
"""

from __future__ import annotations

from nasplug.tracking.observe import WEIGHTS, finish, follow
from nasplug.tracking.tracker import Figures, NetworkTable, Tracker

__all__ = ["WEIGHTS", "Figures", "NetworkTable", "Tracker", "finish", "follow"]
