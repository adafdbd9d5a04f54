"""A search space of small networks for small devices, built from layers that are known to work there."""

from __future__ import annotations

from nasplug.builtin.compact.space import Compact

__all__ = ["Compact"]
