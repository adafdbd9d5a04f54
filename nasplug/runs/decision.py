"""The last part of a search: the selector decides on architectures, with further work where it needs some."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import Any

import attrs

from nasplug.engine import Trainer
from nasplug.errors import InputError
from nasplug.parts import Batch, Rater, SearchState, Selector, Supernet
from nasplug.parts.selector import Selected
from nasplug.runs.budget_check import limits_of_search
from nasplug.runs.context import RunContext
from nasplug.runs.findings import Findings
from nasplug.runs.further_work import make_further_work
from nasplug.runs.retrain_size import retrain_models
from nasplug.runs.signals import ShouldStop
from nasplug.runs.training import Stopped
from nasplug.store.events import EventCallback, Journal, ignore_event, read_events, require_entries
from nasplug.store.run_folder import RunFolder, write_json
from nasplug.values import Found, Genotype, Progress, Rated, Step

BATCH = 256
"""Images in a batch of rating."""
WORDS = {"rated": ("rating", "paths rated"), "evaluated": ("evaluation", "evaluations of the supernet")}
"""What the progress of a selection says of its events, by their kind."""


def decide(
    context: RunContext,
    trainer: Trainer | None,
    journal: Journal,
    should_stop: ShouldStop,
    on_event: EventCallback = ignore_event,
) -> Iterator[Progress]:
    """Lets the selector select, and records every rating and evaluation, and every architecture that it finds.

    What is on record is not computed again, so a search that was stopped while it rated, evaluated or trained further
    continues where it was. `trainer` is that of the search, None if nothing was trained. `on_event` is called with
    the events of networks that the selector trains, the callback of the journal with all others. Yields progress for
    every rating and evaluation, and raises Stopped when `should_stop` says so. Raises RunFailure for a rating or an
    evaluation that is NaN or infinite, which would have no place in an order, and for what a selector must not give.
    """
    events = [event["event"] for event in read_events(context.folder.events) if event["phase"] == "search"]
    journal.drop("search", "found")  # the selector decides on the same ones again
    rated = list(read_ratings(context.folder))
    snapshots = list(_read_snapshots(context.folder))
    search_state = attrs.evolve(
        initial_search_state(context, trainer),
        snapshots=snapshots,
        rated=rated,
        work=make_further_work(context, trainer, journal, should_stop, on_event),
    )
    counts = Counter(events)
    findings = Findings(context)
    with closing(_select(context.composition.selector, search_state)) as selection:
        for event in selection:
            if isinstance(event, Progress):
                findings.check_progress(event)
                yield event
            else:
                findings.check(event)
                journal.append("search", event.record())
                if not isinstance(event, Found):
                    kind = event.record()["event"]
                    counts[kind] += 1
                    phase, text = WORDS[kind]
                    yield Progress(phase, counts[kind], 0, text)
            if should_stop():
                raise Stopped
    findings.check_end()


def _select(selector: Selector, search_state: SearchState) -> Generator[Selected, None, None]:
    """The selection as a generator, whose end reaches the training that is under way in it."""
    yield from selector.select(search_state)


def initial_search_state(context: RunContext, trainer: Trainer | None) -> SearchState:
    """The state from which is selected, as far as it is known before training: no snapshots, ratings or other work."""
    shares = context.shares()

    def images(split: str, count: int) -> Iterator[Batch]:
        return context.sample_batches(shares[split], count, BATCH, "search", "decide", split)

    net, raters = None, list[Rater]()
    if trainer is not None and isinstance(trainer.net, Supernet):
        net = trainer.net
        raters = [rater for stage in trainer.stages for rater in stage.raters(net)]
    return SearchState(
        space=context.composition.space,
        shape=context.shape,
        net=net,
        snapshots=(),
        seed=context.seed("search", "decide"),
        budgets=limits_of_search(context),
        run_budgets=context.recipe.budget.points,
        raters=raters,
        images=images,
        cost_model=retrain_models(context)[0],
        optimizer=context.composition.optimizer,
        weights_split="train" if trainer is None else trainer.weights_split,
    )


def write_ratings(context: RunContext) -> list[dict[str, Any]]:
    """Writes `ratings.json`, if anything was rated. Returns for each block its number of paths and of rated ones."""
    space = context.composition.space
    blocks: dict[int | None, list[dict[str, Any]]] = {}
    for rated in read_ratings(context.folder):
        blocks.setdefault(rated.block, []).append({"path": rated.path.to_dict()["picks"], "rating": rated.rating})
    if not blocks:
        return []
    counts = [
        {"block": block, "paths": space.paths(block).count, "rated": len(ratings)} for block, ratings in blocks.items()
    ]
    rows = [{**count, "ratings": ratings} for count, ratings in zip(counts, blocks.values(), strict=True)]
    write_json(context.folder.path / "ratings.json", {"schema": 1, "space": space.name, "blocks": rows})
    return counts


def read_ratings(folder: RunFolder) -> Iterator[Rated]:
    """The ratings that the search has recorded so far; InputError if one is damaged."""
    for event in read_events(folder.events):
        if event["event"] == "rated":
            try:
                if not isinstance(event["block"], int | None):
                    raise TypeError(f"block {event['block']!r:.40}")
                path = Genotype(space=event["space"], picks=event["path"])
                rating = float(event["rating"])
                if not math.isfinite(rating):
                    raise ValueError(f"rating {rating}")
                yield Rated(block=event["block"], path=path, rating=rating)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise InputError(f"A rating in '{folder.events}' is damaged ({error!r}); restore the file.") from error


def read_scores(context: RunContext) -> dict[Genotype, float]:
    """By architecture, the score that the selector has given it; empty where it gives none."""
    name = context.composition.selector.score
    return {
        Genotype.from_dict(event["genotype"]): float(event[name])
        for event in read_events(context.folder.events)
        if name and event["event"] == "found"
    }


def group_by_block(rated: Iterable[Rated]) -> list[list[Rated]]:
    """The rated paths of each block, in the order of the blocks; a network without blocks is one."""
    blocks: dict[int | None, list[Rated]] = {}
    for each in rated:
        blocks.setdefault(each.block, []).append(each)
    return [paths for _, paths in sorted(blocks.items(), key=lambda item: item[0] or 0)]


def _read_snapshots(folder: RunFolder) -> Iterator[Step]:
    for event in read_events(folder.events):
        if event["phase"] == "search" and event.get("snapshot"):
            require_entries(event, ("step", "epoch", "loss", "reason"), folder.events)
            yield Step(
                step=event["step"],
                epoch=event["epoch"],
                loss=event["loss"],
                snapshot=Genotype.from_dict(event["snapshot"]),
                reason=event["reason"],
            )
