"""A search space, images and a schedule as small as they can be, among which parts of others are tried.

The space has a known best operation: only the convolution of 3x3 pixels can tell the images apart (see `images`).
"""

from __future__ import annotations

from nasplug.testing.toy.images import stripes
from nasplug.testing.toy.schedule import Weakest
from nasplug.testing.toy.space import BEST, Toy

__all__ = ["BEST", "Toy", "Weakest", "stripes"]
