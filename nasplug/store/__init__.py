"""A run on disk: its folder, events, lock, checkpoints, networks and result."""

from __future__ import annotations
