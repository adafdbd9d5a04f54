"""The search space of DARTS, in all the forms in which SNPS, DNAD and SD-DARTS use it."""

from __future__ import annotations

from nasplug.builtin.darts.space import Darts

__all__ = ["Darts"]
