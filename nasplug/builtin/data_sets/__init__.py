"""Data sets that come with nasplug."""

from __future__ import annotations
