"""The slot `--schedule`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable

from torch import Tensor

from nasplug.parts.choice import Choices
from nasplug.values import Figure, StepClock, StepInfo, Verdict


class PruningSchedule(ABC):
    """How the loss of alpha is regularised, which candidates are deleted when, when to take a snapshot, when to stop.

    An attrs class; its `init=False` fields are its state and are saved with every checkpoint. It changes the choices by
    `Choices.delete` alone and never sets alpha.
    """

    ranks_candidates: bool = False
    """Whether it compares candidates by alpha or their weights, and so needs an optimizer that learns alpha."""

    takes_snapshots: bool = False
    """Whether its snapshots are the result of the search, so that it needs no optimizer that decides at the end."""

    static_graph: bool = False
    """Whether `penalise` runs the same operations in every step, and `after_step` reads no tensor on the host.

    See `ArchitectureOptimizer.static_graph`.
    """

    figures: tuple[Figure, ...] = ()
    """The measures of its verdicts that progress and reports show, in the order of their charts."""

    def begin(self, choices: Choices, clock: StepClock) -> None:
        """Called once at the start of a search, not on resume: fits constants to the length of the search.

        `clock` covers all stages together.
        """

    def penalise(self, loss: Tensor, choices: Choices, now: StepInfo) -> Tensor:
        """The loss that alpha minimises, a scalar, from the loss of the stage, a scalar with its graph.

        Called in every update of alpha. It transforms the loss rather than adding a term, since SNPS multiplies.
        """
        return loss

    def graph_key(self, now: StepInfo) -> Hashable | None:
        """What else the operations of `penalise` depend on, where `static_graph` is set; None: unknown in this step."""
        return ()

    @abstractmethod
    def after_step(self, choices: Choices, now: StepInfo) -> Verdict:
        """Deletes candidates where it is time to, and returns what was done and how the search continues.

        Called once per step, after all updates and after the `after_step` of the stage.
        """
