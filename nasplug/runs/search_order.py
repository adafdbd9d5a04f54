"""What a finished search says about architectures that it did not choose: which ones it takes for better.

Every score is the better the lower it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from random import Random

import attrs
import torch
from torch import Tensor

from nasplug.engine.flatness import evaluate, untouched
from nasplug.errors import InputError, quote
from nasplug.parts import Batch, Supernet
from nasplug.parts.random_walk import mutate_towards
from nasplug.runs.context import RunContext
from nasplug.runs.decision import group_by_block, read_ratings
from nasplug.runs.search_trainer import load_supernet
from nasplug.values import Genotype, Rated

RATING, ALPHA, SUPERNET = "rating", "alpha", "supernet"
"""The scores: the summed rating of the paths of all blocks; the negative log-likelihood of the architecture under the
weights of candidates; the validation error of the supernet with nothing but the candidates of the architecture."""
POOL = 400
"""Random architectures from which a sample is taken, at least."""
WALK = 30
"""Mutations of the architecture that the search ended with, where random ones hold candidates that it has ruled out."""
CALIBRATION, HELD_OUT, BATCH = 256, 2048, 256
"""Images on which batch-norm statistics, and then the error, of a part of the supernet are measured, and of a batch."""

Scored = tuple[Genotype, float]


@attrs.frozen(eq=False)
class SearchOrder:
    """The scores that a search gives to architectures, by name."""

    quick: str | None
    """The name of the score that is known without computation; None if none is."""
    draw: Callable[[Random], Scored | None]
    """A random architecture that the search has an opinion on, with its quick score (0 if there is none); None if it
    did not find one."""
    computed: Mapping[str, Callable[[Genotype], float]]
    """The scores that take some computation."""

    @property
    def names(self) -> tuple[str, ...]:
        """All scores."""
        return (*([] if self.quick is None else [self.quick]), *self.computed)

    def draw_strata(self, count: int, generator: Random) -> list[list[Scored]]:
        """As many strata as asked for, of neighbours in the quick score, each in a random order.

        Together they are a random sample of architectures. One of each stratum makes a sample that covers all of the
        order evenly. Raises InputError if there are fewer architectures than strata.
        """
        drawn = dict(filter(None, (self.draw(generator) for _ in range(max(POOL, 4 * count)))))
        if len(drawn) < count:
            raise InputError(
                f"The search has left an order of only {len(drawn)} architectures, and {count} are asked for: ask for "
                f"fewer with --networks, or take a run whose search ended before it had decided on nearly everything."
            )
        ranked = sorted(drawn.items(), key=lambda scored: scored[1])
        bounds = [len(ranked) * number // count for number in range(count + 1)]
        return [generator.sample(ranked[start:end], end - start) for start, end in pairwise(bounds)]


def read_order(context: RunContext) -> SearchOrder:
    """The order that the finished search of a run has left: of rated paths, or of its supernet.

    Raises InputError if it has left none, or if the supernet is gone.
    """
    if rated := list(read_ratings(context.folder)):
        return order_by_rating(rated)
    composition = context.composition
    if not composition.optimizer.trains or composition.teacher.blockwise:
        part = context.recipe.parts["optimizer"].name
        raise InputError(
            f"The search of {quote(context.folder.path)} has left no order of architectures: its optimizer '{part}' "
            f"has rated no paths and trained no supernet that could be evaluated. Name a run of another method."
        )
    return order_by_supernet(context, load_supernet(context))


def order_by_rating(rated: list[Rated]) -> SearchOrder:
    """The summed ratings of all combinations of one rated path through each block."""
    ordered = group_by_block(rated)

    def draw(generator: Random) -> Scored:
        chosen = [generator.choice(paths) for paths in ordered]
        return Genotype.join(each.path for each in chosen), sum(each.rating for each in chosen)

    return SearchOrder(RATING, draw, {})


def order_by_supernet(context: RunContext, net: Supernet) -> SearchOrder:
    """The error of the supernet with one architecture alone, and alpha where it is learnt."""
    space, choices = context.composition.space, net.choices
    learns_alpha = context.composition.optimizer.learns_alpha
    weights = choices.weights().detach().cpu()
    decoded = space.decode(choices, choices.weights().detach())
    allowed = weights > 0 if learns_alpha else choices.kept.cpu()

    def encode(genotype: Genotype) -> Tensor:
        return space.encode(genotype, choices)

    def count_ruled_out(genotype: Genotype) -> float:
        return float((encode(genotype) & ~allowed).sum())

    def draw(generator: Random) -> Scored | None:
        genotype = space.random(generator)
        if count_ruled_out(genotype):
            # Once much is deleted, hardly any random architecture is left in the supernet, but neighbours of the last.
            genotype = mutate_towards(space, decoded, count_ruled_out, generator, mutations=WALK)
        if count_ruled_out(genotype):
            return None
        return genotype, alpha_score(weights, encode(genotype)) if learns_alpha else 0.0

    def measure(genotype: Genotype) -> float:
        with untouched(net), choices.only(encode(genotype)):
            return evaluate(net, calibration=lambda: _images(context, "train", CALIBRATION), held_out=held_out)[1]

    def held_out() -> Iterator[Batch]:
        return _images(context, "validation" if len(context.splits.validation) else "train", HELD_OUT)

    return SearchOrder(ALPHA if learns_alpha else None, draw, {SUPERNET: measure})


def alpha_score(weights: Tensor, picked: Tensor) -> float:
    """The negative log-likelihood of the candidates where `picked` is true; both are (choices, candidates)."""
    return -float(torch.log(weights[picked].double()).sum())


def _images(context: RunContext, split: str, count: int) -> Iterator[Batch]:
    return context.sample_batches(getattr(context.splits, split), count, BATCH, "rank", split)
