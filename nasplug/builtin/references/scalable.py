"""What the reference networks of the core have in common: one width for all their channels."""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Sequence
from typing import ClassVar, Self

import attrs

from nasplug.parts import ReferenceNetwork, option

STEP = 128
"""Widths are multiples of 1 / STEP: from one to the next, only one of the stages of 16, 32 and 64 channels grows."""
LARGEST = 8
"""The largest width; parameters grow about with its square."""


@attrs.frozen
class Scalable(ReferenceNetwork, ABC):
    """An architecture whose numbers of channels are all multiplied by `width`."""

    input_dims: ClassVar[frozenset[int]] = frozenset({1, 2})

    width: float = option(1.0, "factor of the channels of every stage", above=0, at_most=LARGEST)

    def scaled(self, width: float) -> Self:
        """This architecture with `width` in place of the present one."""
        return attrs.evolve(self, width=width)

    def widths(self) -> Sequence[float]:
        """Every multiple of 1 / STEP up to LARGEST."""
        return [number / STEP for number in range(1, LARGEST * STEP + 1)]

    def channels(self, published: int) -> int:
        """The channels of a stage that has `published` channels at width 1; halves are rounded up."""
        return max(1, math.floor(published * self.width + 0.5))
