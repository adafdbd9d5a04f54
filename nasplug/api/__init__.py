"""The Python API: runs that are started, resumed and opened by a program."""

from __future__ import annotations
