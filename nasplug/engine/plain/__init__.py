"""The neutral parts, with which stand-alone networks are trained: fixed, keep, labels, averaging."""

from __future__ import annotations
