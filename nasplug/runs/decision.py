"""The last part of a search: the optimizer rates paths of the trained supernet and decides on architectures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs

from nasplug.errors import InputError, RunFailure
from nasplug.parts import Batch, SearchState, Stage, Supernet
from nasplug.runs.budget_check import limits_of_search
from nasplug.runs.context import RunContext
from nasplug.runs.retrain_size import retrain_models
from nasplug.runs.signals import ShouldStop
from nasplug.runs.training import Progress, Stopped
from nasplug.store.events import Journal, read_events, require_entries
from nasplug.store.run_folder import RunFolder, write_json
from nasplug.values import Genotype, Rated, Step

BATCH = 256
"""Images in a batch of rating."""


def decide(
    context: RunContext, net: Supernet | None, stages: Sequence[Stage], journal: Journal, should_stop: ShouldStop
) -> Iterator[Progress]:
    """Lets the optimizer decide, and records every rating and every architecture that it decides on.

    Recorded ratings are not computed again, so a search that was stopped while it rated continues where it was. Yields
    progress for every rating, and raises Stopped when `should_stop` says so. Raises RunFailure for a rating that is NaN
    or infinite, which would have no place in an order.
    """
    events = [event["event"] for event in read_events(context.folder.events) if event["phase"] == "search"]
    journal.cut(journal.count - events.count("found"))  # the optimizer decides on the same ones again
    rated = list(read_ratings(context.folder))
    snapshots = list(_read_snapshots(context.folder))
    search_state = attrs.evolve(initial_search_state(context, net, stages), snapshots=snapshots, rated=rated)
    count = len(rated)
    for event in context.composition.optimizer.decide(search_state):
        if isinstance(event, Rated) and not math.isfinite(event.rating):
            where = "the network" if event.block is None else f"block {event.block}"
            raise RunFailure(
                f"The supernet is of no use: the rating of the path {event.path.to_json()} through {where} is "
                f"{event.rating}. A lower learning rate may help: start again with "
                f"--set search.lr={context.recipe.search.lr / 4:g}."
            )
        journal.append("search", event.record())
        if isinstance(event, Rated):
            count += 1
            yield Progress("rating", count, 0, "paths rated")
        if should_stop():
            raise Stopped


def initial_search_state(context: RunContext, net: Supernet | None, stages: Sequence[Stage]) -> SearchState:
    """The state on which the optimizer decides, as far as it is known before training: no snapshots, no ratings."""
    shares = context.shares()

    def images(split: str, count: int) -> Iterator[Batch]:
        return context.sample_batches(shares[split], count, BATCH, "search", "decide", split)

    return SearchState(
        space=context.composition.space,
        shape=context.shape,
        net=net,
        snapshots=(),
        seed=context.seed("search", "decide"),
        budgets=limits_of_search(context),
        raters=() if net is None else [rater for stage in stages for rater in stage.raters(net)],
        images=images,
        cost_model=retrain_models(context)[0],
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
