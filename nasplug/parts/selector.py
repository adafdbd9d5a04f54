"""The slot `--selector`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

from nasplug.parts.search_state import SearchState
from nasplug.parts.space import SearchSpace
from nasplug.values import Evaluated, Found, Progress, Rated

Selected = Found | Rated | Evaluated | Progress
"""What a selection reports: what it has found, ratings and evaluations to put on record, and how far it is."""


class Selector(ABC):
    """Which architectures a search leaves when its training is over.

    An attrs class without state: of a search that was stopped, `select` begins again, and what it has rated, evaluated
    and trained is given to it from the record.
    """

    tasks: frozenset[str] | None = None
    """The names of the tasks (`Task.name`) that it is for; None: all of them."""
    decodes: bool = False
    """Whether the snapshots of the schedule, and what the optimizer decides on, are what the search leaves."""
    needs_supernet: bool = True
    """Whether it needs a trained supernet, and so an optimizer that trains one."""
    evaluates: bool = False
    """Whether it evaluates or trains the supernet as a whole (`SearchState.evaluate`, `fine_tune`), for which no
    teacher may have trained the blocks apart."""
    score: str = ""
    """The measure, among those of a `Found`, that says how good it is, the lower the better; empty: nothing says it."""
    best_first: bool = False
    """Whether the architectures with the lowest scores are selected first; else their sizes are spread, as along a
    front of the score and the size."""

    def check(self, space: SearchSpace) -> None:
        """Raises InputError if the space does not go with this selector. Called before anything is trained."""

    def check_limits(self, search_state: SearchState) -> None:
        """Raises InputError if no architecture can keep the limits, where that is certain before the training."""

    def splits(self) -> Mapping[str, float]:
        """Shares of the train split that the search leaves out for the selection, by name; the optimizer has the rest.

        A name begins with "train.", such as "train.rating".
        """
        return {}

    def trials(self) -> tuple[int, int]:
        """How many networks it trains on their own within each budget, and for how many epochs each.

        It tells what a run will take; the default is none.
        """
        return 0, 0

    @abstractmethod
    def select(self, search_state: SearchState) -> Iterator[Selected]:
        """The architectures that the search leaves, as `Found`; before the first of them, what it takes to know them.

        Whatever it yields besides is on record once it goes on: `Rated`, which `search_state.rated` holds when a search
        goes on that was stopped, and what the methods of `search_state` report. `Progress` gives a run that is to stop
        the occasion for it. It must depend on `search_state` alone, and change the supernet by its methods alone.
        """
