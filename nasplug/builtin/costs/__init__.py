"""The cost measures of the core."""

from __future__ import annotations
