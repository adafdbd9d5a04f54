"""Check that a search finds the best operation, on a space where it is known."""

from __future__ import annotations

import attrs

from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.companion_parts import Parts, plan, refuses_toy_space
from nasplug.testing.outcome import NotApplicable, require
from nasplug.testing.tiny_search import TinySearch, begin
from nasplug.testing.toy import BEST, Toy, stripes
from nasplug.values import Found, Genotype

IMAGES, EPOCHS = 512, 5
"""Few long epochs, so that schedules that delete after each epoch do not delete before alpha has learnt."""


@check("optimizer", "schedule", "method")
def ranks_the_best_operation_first(case: Case) -> None:
    """On a space where only one operation can learn the images, the search ends with this operation everywhere.

    A method that ranks candidates wrongly, by a gradient of the wrong sign for example, still reports an architecture
    that trains; only a comparison with random search would show that it found nothing.
    """
    parts = case.once(plan).parts()
    schedule, optimizer = parts.schedule, parts.optimizer
    if not optimizer.trains:
        raise NotApplicable("it trains no supernet, so it ranks nothing")
    if case.slot == "schedule" and not (schedule.ranks_candidates and schedule.takes_snapshots):
        raise NotApplicable("it does not rank candidates by itself")
    if refuses_toy_space(schedule):
        raise NotApplicable("its schedule cannot be used with the toy space")
    if parts.selector.evaluates:
        raise NotApplicable(
            "its selector evaluates the supernet, which a search as short as this one trains too little"
        )
    if parts.selector.decodes and not (optimizer.decides or schedule.takes_snapshots):
        raise NotApplicable("it finds no architecture by itself")
    found = best_of(search_toy_space(parts))
    require(
        all(picked == (BEST,) for _, picked in found.picks),
        f"for the cells of the toy space it finds {', '.join(picked[0] for _, picked in found.picks)}, "
        f"but the only operation that can tell its images apart is {BEST}",
        "compare with random search first: the ranking is no better",
    )


def search_toy_space(parts: Parts, seed: int = 0) -> TinySearch:
    """A complete search for the best operation of the toy space, with a teacher that has learnt the images."""
    training = attrs.evolve(parts.training, epochs=EPOCHS, batch_size=16)
    data = stripes(IMAGES, seed)
    search = begin(attrs.evolve(parts, space=Toy(), training=training), seed=seed, data=data, taught=True)
    search.train()
    search.decided = search.decide()
    return search


def best_of(search: TinySearch) -> Genotype:
    """The best architecture of a search: the best rated of those found, else the last snapshot.

    Raises NotApplicable if there is none.
    """
    found = [event for event in search.decided if isinstance(event, Found)]
    if found:
        return min(found, key=lambda event: event.measures.get(search.parts.selector.score, 0.0)).genotype
    snapshots = [step.snapshot for step in search.steps if step.snapshot is not None]
    if not snapshots:
        raise NotApplicable("it found nothing")
    return snapshots[-1]
