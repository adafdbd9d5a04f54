"""What a selector may give, looked at as it comes: of anything else a run says whose fault it is, in one sentence."""

from __future__ import annotations

import math

import attrs

from nasplug.engine.further_work import FINE_TUNING, TRIAL
from nasplug.errors import InputError, RunFailure
from nasplug.runs.context import RunContext
from nasplug.values import Evaluated, Found, Progress, Rated


@attrs.define(eq=False)
class Findings:
    """The architectures that the selector of a run has found so far."""

    context: RunContext
    count: int = attrs.field(default=0, init=False)

    def check(self, event: Found | Rated | Evaluated) -> None:
        """Raises RunFailure for a rating or evaluation that is no number, and for a finding that cannot be used."""
        if isinstance(event, Found):
            self._check_found(event)
            self.count += 1
        elif not isinstance(event, Rated | Evaluated):
            raise self._fault(f"gave {event!r:.80}, which is neither a Found nor progress")
        elif self.count:
            raise self._fault("went on rating or evaluating after the first architecture that it found")
        elif isinstance(event, Rated) and not math.isfinite(event.rating):
            where = "the network" if event.block is None else f"block {event.block}"
            raise self._useless(f"the rating of the path {event.path.to_json()} through {where} is {event.rating}")
        elif isinstance(event, Evaluated) and not math.isfinite(event.loss):
            raise self._useless(f"its loss with the candidates {event.candidates} is {event.loss}")

    def check_progress(self, progress: Progress) -> None:
        """Raises RunFailure for a training after the first architecture that was found."""
        if self.count and progress.phase.partition("/")[0] in (FINE_TUNING, TRIAL):
            raise self._fault("went on training after the first architecture that it found")

    def check_end(self) -> None:
        """Raises RunFailure if the selection has ended with nothing to retrain, and snapshots do not count."""
        if self.count == 0 and not self.context.composition.selector.decodes:
            raise self._fault("found no architecture")

    def _check_found(self, found: Found) -> None:
        selector = self.context.composition.selector
        name = selector.score
        if selector.best_first and not name:
            raise self._fault("puts the best first (best_first) and names no score that says which they are")
        try:
            self.context.composition.space.check(found.genotype)
        except InputError as error:
            space = self.context.recipe.parts["space"].name
            raise self._fault(
                f"found an architecture that the space '{space}' refuses ({str(error).rstrip('.')})"
            ) from error
        if name and not math.isfinite(found.measures.get(name, math.nan)):
            raise self._fault(
                f"gave the architecture {found.genotype.to_json()} the score '{name}' of "
                f"{found.measures.get(name, 'nothing')}, which is no number that can be compared"
            )

    def _fault(self, what: str) -> RunFailure:
        return RunFailure(f"The selector '{self.context.recipe.parts['selector'].name}' {what}; tell its author.")

    def _useless(self, what: str) -> RunFailure:
        return RunFailure(
            f"The supernet is of no use: {what}. A lower learning rate may help: start again with "
            f"--set search.lr={self.context.recipe.search.lr / 4:g}."
        )
