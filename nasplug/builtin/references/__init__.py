"""The reference networks of the core."""

from __future__ import annotations
