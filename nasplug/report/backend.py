"""Imports matplotlib whatever backend the environment names.

A notebook names its own to every program that it starts, and matplotlib cannot be imported where that is not installed.
Figures that are written to files need no backend; the rest of a program may want it, so it is set where it is there.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

VARIABLE = "MPLBACKEND"

if "matplotlib" not in sys.modules:
    _backend = os.environ.pop(VARIABLE, None)
    try:
        import matplotlib
    finally:
        if _backend is not None:
            os.environ[VARIABLE] = _backend
    if _backend is not None:
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = _backend
