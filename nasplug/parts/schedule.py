"""The slot `--schedule`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable

from torch import Tensor

from nasplug.parts.choice import Choices
from nasplug.values import Figure, StepClock, StepInfo, Verdict


class PruningSchedule(ABC):
    """How the loss is pressed, what is deleted when, when a snapshot is taken and when to stop.

    An attrs class; its `init=False` fields are its state and are saved with every checkpoint.
    """

    ranks_candidates: bool = False
    """Whether it reads alpha or weights as strength, and so needs an optimizer that learns alpha."""

    takes_snapshots: bool = False
    """Whether it leaves architectures itself, so that it needs no optimizer that settles on one."""

    static_graph: bool = False
    """Whether `penalise` runs the same operations in every step, and `after_step` reads no tensor on the host.

    See `ArchitectureOptimizer.static_graph`.
    """

    figures: tuple[Figure, ...] = ()
    """The measures of its verdicts that progress and reports show, in the order of their charts."""

    def begin(self, choices: Choices, clock: StepClock) -> None:
        """Called once at the start of a search (not on resume): the place to fit constants to its length."""

    def penalise(self, loss: Tensor, choices: Choices, now: StepInfo) -> Tensor:
        """The loss that alpha minimises, from the task's loss. A transform, not a term: SNPS multiplies."""
        return loss

    def graph_key(self, now: StepInfo) -> Hashable | None:
        """What else the operations of `penalise` depend on, where `static_graph` is set; None: unknown in this step."""
        return ()

    @abstractmethod
    def after_step(self, choices: Choices, now: StepInfo) -> Verdict:
        """Deletes candidates, if it wants to, and says how the search goes on."""
