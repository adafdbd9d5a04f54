"""How stand-alone networks are trained: the neutral parts (fixed, keep, labels), distillation, averaging."""

from __future__ import annotations
