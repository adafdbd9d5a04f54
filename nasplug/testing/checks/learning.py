"""Whether a search finds what there is to find, on a space with a known best operation."""

from __future__ import annotations

import attrs

from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.companion_parts import Parts, plan
from nasplug.testing.outcome import NotApplicable, require
from nasplug.testing.tiny_search import TinySearch, begin
from nasplug.testing.toy import BEST, Toy, stripes
from nasplug.values import Found, Genotype

IMAGES, EPOCHS = 512, 5
"""Few long epochs: schedules that delete after each epoch must have seen enough before the first."""


@check("optimizer", "schedule", "method")
def ranks_the_best_operation_first(case: Case) -> None:
    """On a space where one operation alone can learn the images, the search ends with this operation everywhere.

    A method that ranks candidates by anything else, the sign of a gradient turned round for example, still reports an
    architecture, and it trains; only random search shows that nothing was found.
    """
    parts = case.once(plan).parts()
    schedule, optimizer = parts.schedule, parts.optimizer
    if not optimizer.trains:
        raise NotApplicable("it trains no supernet, and so ranks nothing")
    if case.slot == "schedule" and not (schedule.ranks_candidates and schedule.takes_snapshots):
        raise NotApplicable("it does not rank candidates by itself")
    if not (optimizer.decides or schedule.takes_snapshots):
        raise NotApplicable("it settles on nothing")
    trial = search_state(parts)
    found = best_of(trial)
    require(
        all(picked == (BEST,) for _, picked in found.picks),
        f"of the cells of the toy space it gives {', '.join(picked[0] for _, picked in found.picks)}, "
        f"and the only operation that can tell its images apart is {BEST}",
        "compare with random search before anything else: the ranking is no better",
    )


def search_state(parts: Parts, seed: int = 0) -> TinySearch:
    """A search for the best operation of the toy space."""
    training = attrs.evolve(parts.training, epochs=EPOCHS, batch_size=16)
    data = stripes(IMAGES, seed)
    trial = begin(attrs.evolve(parts, space=Toy(), training=training), seed=seed, data=data, taught=True)
    trial.train()
    trial.decided = trial.decide()
    return trial


def best_of(trial: TinySearch) -> Genotype:
    """What the search thinks best: the best rated architecture, else the last it settled on or left."""
    found = [each for each in trial.decided if isinstance(each, Found)]
    if found:
        return min(found, key=lambda each: each.measures.get("rating", 0.0)).genotype
    snapshots = [step.snapshot for step in trial.steps if step.snapshot is not None]
    if not snapshots:
        raise NotApplicable("it found nothing")
    return snapshots[-1]
