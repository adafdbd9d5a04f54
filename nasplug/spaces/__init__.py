"""The built-in search spaces, to derive from and to wrap.

A derived space sets a `name` of its own, under which it is registered; its genotypes stay those of the space that it is
derived from (`SearchSpace.genotypes_of`), so that its networks can be built without it. The parts of the supernet of
`darts`, for spaces that compute otherwise, are in `nasplug.spaces.darts`.
"""

from __future__ import annotations

from nasplug.builtin.compact import Compact
from nasplug.builtin.darts import Darts
from nasplug.builtin.mbconv import MBConvSpace
from nasplug.builtin.nb201 import NasBench201

__all__ = ["Compact", "Darts", "MBConvSpace", "NasBench201"]
