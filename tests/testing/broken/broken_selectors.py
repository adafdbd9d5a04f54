"""Selectors, each of which breaks the check that it is named after, and no other."""

from __future__ import annotations

import attrs

from nasplug.builtin.selectors.rating import Rating
from nasplug.hookspecs import hookimpl
from nasplug.parts import option
from nasplug.values import Found


@attrs.define
class Small(Rating):
    share: float = option(0.25, "share of the training images that paths are rated on", above=0, below=1)


@attrs.define
class TakesTheImagesOfAlpha(Small):
    def splits(self):
        return {"train.alpha": self.share}

    def select(self, search_state):
        yield Found(search_state.space.decode(search_state.net.choices, search_state.net.choices.weights()), 0, "", {})


@attrs.define
class Counts(Small):
    """Remembers what no checkpoint saves."""

    calls: int = attrs.field(init=False, default=0)


@attrs.define
class GoesOn(Small):
    """Rates more after it has found something."""

    def select(self, search_state):
        events = list(Small.select(self, search_state))
        first = next(place for place, event in enumerate(events) if isinstance(event, Found))
        yield from (*events[: first - 1], events[first], events[first - 1], *events[first + 1 :])


@attrs.define
class NoNumber(Small):
    """Says that it ranks, and not by what."""

    best_first = True
    score = ""


@attrs.define
class RatesAnew(Small):
    """Forgets what was rated before it was interrupted."""

    def select(self, search_state):
        return Small.select(self, attrs.evolve(search_state, rated=()))


@attrs.define
class Deletes(Small):
    """Deletes what it has not found."""

    def select(self, search_state):
        last = None
        for event in Small.select(self, search_state):
            last = event
            yield event
        choices = search_state.net.choices
        choices.delete(~search_state.space.encode(last.genotype, choices))


@attrs.define
class LooksElsewhere(Small):
    """Chooses by the images of alpha."""

    def select(self, search_state):
        list(search_state.images("train.alpha", 8))
        yield from Small.select(self, search_state)


@hookimpl
def nasplug_register(register):
    for name, target in {
        "shares-out-images-for-itself": "TakesTheImagesOfAlpha",
        "is-without-state": "Counts",
        "finds-architectures-last": "GoesOn",
        "scores-what-it-finds": "NoNumber",
        "finishes-a-rating-that-was-interrupted": "RatesAnew",
        "leaves-the-supernet-as-it-was": "Deletes",
        "looks-at-images-of-its-own": "LooksElsewhere",
    }.items():
        register.selector(name, f"broken_selectors:{target}", summary=f"Breaks {name}.")
