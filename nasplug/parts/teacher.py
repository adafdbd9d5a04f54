"""The slot `--teacher`."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from nasplug.parts.network import Network, Supernet
from nasplug.parts.space import SearchSpace
from nasplug.parts.stage import Stage
from nasplug.values import Genotype, ImageShape


class DistillationTeacher(ABC):
    """What the supernet of a search learns from: the labels alone, another network, or earlier copies of itself.

    A teacher describes the training as a sequence of stages and keeps out of the steps themselves. It must not change
    the space or the supernet that it is given.
    """

    distils: bool = True
    """Whether the supernet learns from anything beyond the labels; an optimizer without a supernet is then refused."""
    blockwise: bool = False
    """Whether the blocks of the supernet are trained apart; no choice may then belong to several blocks."""
    weighs_classes: bool = False
    """Whether all stages learn from labels by `Batch.loss`, by which `search.balance=weights` works."""
    tasks: frozenset[str] | None = None
    """The names of the tasks (`Task.name`) that it is for; None: all of them."""
    epochs: int = 0
    """Epochs for which the network asked for by `network` is trained; 0: as many as a retraining."""

    def check(self, space: SearchSpace) -> None:
        """Raises InputError if this teacher cannot guide the supernet of `space`. Called before anything is trained."""

    def network(self, space: SearchSpace, generator: random.Random) -> tuple[SearchSpace, Genotype] | None:
        """The network to train as a teacher before the search: its space, already sized, and its genotype.

        Called once at the start of a run; `generator` is seeded from the run's seed. None (the default): no such
        network is needed.
        """
        return None

    def training_options(self) -> Mapping[str, Any]:
        """Options, by name, in which the training of that network differs from a retraining; by default none.

        Those of the recipe section "retrain" can be named. `epochs` above 0 counts for more than an entry here.
        """
        return {}

    @abstractmethod
    def stages(self, net: Supernet, shape: ImageShape, teacher: Network | None) -> Sequence[Stage]:
        """The stages in which `net` is trained, in order: one, or one per block.

        Called once before training and on each resume, and again for each supernet that takes the place of another: it
        has as many stages, of the same lengths. `shape` describes the images. `teacher` is the trained network that
        `network` asked for, None if it asked for none; another one may stand in its place (`--teacher-from`), which has
        as many taps, of whatever sizes. Stages start in a fresh state; that of a resumed search is loaded into them
        afterwards.
        """
