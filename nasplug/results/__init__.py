"""What a finished run offers: its networks, predictions and exported files."""

from __future__ import annotations
