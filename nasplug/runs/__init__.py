"""Carrying out a run: everything from a recipe to trained and tested networks."""

from __future__ import annotations
