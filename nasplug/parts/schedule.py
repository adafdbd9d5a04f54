"""The slot `--schedule`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable

from torch import Tensor

from nasplug.parts.choice import Choices
from nasplug.values import Clock, Now, Verdict


class PruningSchedule(ABC):
    """How the loss is pressed, what is deleted when, when a snapshot is taken and when to stop.

    An attrs class; its `init=False` fields are its state and are saved with every checkpoint.
    """

    ranks_candidates: bool = False
    """Whether it reads alpha or weights as strength, and so needs an optimizer that learns alpha."""

    takes_snapshots: bool = False
    """Whether it leaves architectures itself, so that it needs no optimizer that settles on one."""

    def begin(self, choices: Choices, clock: Clock) -> None:
        """Called once at the start of a search (not on resume): the place to fit constants to its length."""

    def penalise(self, loss: Tensor, choices: Choices, now: Now) -> Tensor:
        """The loss that alpha minimises, from the task's loss. A transform, not a term: SNPS multiplies."""
        return loss

    def graph_key(self, now: Now) -> Hashable | None:
        """What the operations of `penalise` depend on, beyond tensors that stay in place; None (the default): unknown.

        See `ArchitectureOptimizer.graph_key`. A schedule that gives a key leaves to the device in `after_step`, too,
        what only the device knows.
        """
        return None

    @abstractmethod
    def after_step(self, choices: Choices, now: Now) -> Verdict:
        """Deletes candidates, if it wants to, and says how the search goes on."""
