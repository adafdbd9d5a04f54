"""The slot `--teacher`."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence

from nasplug.parts.network import Network, Supernet
from nasplug.parts.space import SearchSpace
from nasplug.parts.stage import Stage
from nasplug.values import Genotype, ImageShape


class DistillationTeacher(ABC):
    """What is learnt from whom."""

    distils: bool = True
    """Whether anything is learnt beyond the labels, so that there must be a supernet to train."""
    blockwise: bool = False
    """Whether it trains the blocks of a supernet apart, so that no choice may be shared between blocks."""
    epochs: int = 0
    """Epochs for which the teacher's network is trained; 0: as many as a retraining takes."""

    def check(self, space: SearchSpace) -> None:
        """Raises InputError if this teacher cannot guide the supernet of this space."""

    def network(self, space: SearchSpace, generator: random.Random) -> tuple[SearchSpace, Genotype] | None:
        """The network to train as a teacher before the search (its space, sized, and its genotype), or None."""
        return None

    @abstractmethod
    def stages(self, net: Supernet, shape: ImageShape, teacher: Network | None) -> Sequence[Stage]:
        """The stages of the search: one, or one per block. `teacher` is what `network` asked for, trained."""
