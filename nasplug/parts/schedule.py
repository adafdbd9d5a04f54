"""The slot `--schedule`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence

from torch import Tensor

from nasplug.errors import InputError
from nasplug.parts.choice import Choice, Choices
from nasplug.parts.space import SearchSpace
from nasplug.values import Figure, StepClock, StepInfo, Verdict


class PruningSchedule(ABC):
    """How the loss of alpha is regularised, which candidates are deleted when, when to take a snapshot, when to stop.

    It may also ask for several supernets, one after the other (`later_spaces`), and for dropout after skip connections.
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

    def later_spaces(self, space: SearchSpace) -> Sequence[SearchSpace]:
        """The spaces of the supernets that are trained after the first, in order; by default there is only that one.

        `space` is the space of the search, of which the first supernet is. The others are of the same space at another
        size (`SearchSpace.scaled`), with the same choices. Each begins with initial weights and alpha and with the
        candidates that its predecessor has kept, and is trained as long as the first, in as many stages of the teacher.
        The last one is what the search leaves. It depends on options alone, and raises InputError for a space that it
        cannot be used with.
        """
        return ()

    def skip_dropout(self, now: StepInfo) -> float:
        """The probability, in this step, that an element of what a skip connection gives is zeroed; by default 0.

        Above 0 only with a space that has `has_skip_dropout`.
        """
        return 0.0

    def begin(self, choices: Choices, clock: StepClock) -> None:
        """Called once at the start of a search, not on resume: fits constants to the length of the search.

        `clock` covers all stages of all supernets together.
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


def supernet_spaces(schedule: PruningSchedule, space: SearchSpace) -> tuple[SearchSpace, ...]:
    """The spaces of all supernets of a search, in order; the first is that of the search.

    Raises InputError if the schedule refuses the space, or if the choices of a later one are not those of the first:
    candidates that were deleted would then have no place in it.
    """
    later = tuple(schedule.later_spaces(space))
    choices = _describe(space.choice_list()) if later else []
    for number, other in enumerate(later, 2):
        if _describe(other.choice_list()) != choices:
            sizes = [", ".join(f"{name}={value}" for name, value in each.size().items()) for each in (space, other)]
            raise InputError(
                f"The schedule {type(schedule).__name__} goes on with the candidates that are left, so all supernets "
                f"must have the same choices, but supernet {number} of the space '{space.name}' ({sizes[1]}) has "
                f"others than the first ({sizes[0]}). It needs a space whose choices do not depend on its size."
            )
    return (space, *later)


def _describe(choices: Sequence[Choice]) -> list[tuple[object, ...]]:
    """What has to be the same in all supernets; the blocks of a choice may differ."""
    return [(choice.name, choice.candidates, choice.at_least, choice.at_most, choice.parent) for choice in choices]
