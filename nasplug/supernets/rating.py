"""Rating the paths through one block of a trained supernet, so that paths share what they have in common.

All paths through a block form a tree: those that agree in their first layers share the features after them. Going
through that tree depth first, each node is computed once (Li et al., Blockwisely Supervised NAS with Knowledge
Distillation, CVPR 2020, algorithm 1): of L layers with 6 candidates each, 6 + 36 + ... + 6^L layers instead of L 6^L.
The batch norms of a supernet have statistics of their own on every path. So images that they are measured on go through
the tree beside the images that are rated: each layer is first computed on the former, then on the latter.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from nasplug.parts import Batch, Rater, SearchSpace, Supernet
from nasplug.supernets.normalise import AnyNorm, Norm, forget, measuring, norms_of
from nasplug.values import Genotype, Rated

PASSED = 0
"""In a route: the layer lets its state pass, since none of its candidates is picked."""
READ_AFTER = 0.5
"""Seconds after which ratings are read: to do so, the host has to wait until the device has come to them."""


@attrs.frozen(eq=False)
class _Features:
    """The states of a block after some layer."""

    measured: list[Any]
    """Those of the images on which the norms are measured, batch by batch."""
    rated: list[Any]


@attrs.frozen(eq=False)
class _Path:
    genotype: Genotype
    mask: Tensor
    """The candidates on the path, bool (choices, candidates); none at choices that the block does not compute with."""
    route: tuple[int, ...]
    """A number for what is picked at each layer: paths whose routes begin alike share features."""


@attrs.define(eq=False)
class PathRating:
    """Rates paths through the block of `rater`, all on the same images, and counts the layers that this takes.

    At any time it holds the features along one path only. The supernet computes in evaluation, without gradients and
    in the precision of its weights; every norm uses the statistics that `calibration` has on the path in question.
    """

    net: Supernet
    space: SearchSpace
    rater: Rater
    calibration: Sequence[Batch]
    images: Sequence[Batch]
    evaluations: int = attrs.field(default=0, init=False)
    """Layers computed so far; computing one on all images counts once."""
    _inner: list[tuple[AnyNorm, ...]] = attrs.field(init=False)
    _outer: tuple[AnyNorm, ...] = attrs.field(init=False)
    _used: dict[tuple[int, int], tuple[AnyNorm, ...]] = attrs.field(factory=dict, init=False)
    """Of the norms of a layer those that it computes with, by its number and what is picked there."""

    def __attrs_post_init__(self) -> None:
        view = self.rater.view
        self._inner = [norms_of(layer.module) for layer in view.layers]
        inner = {id(norm) for norms in self._inner for norm in norms}
        # Those on the way into the first layer and out of the last one.
        self._outer = tuple(norm for module in view.modules for norm in norms_of(module) if id(norm) not in inner)

    def rate(self, paths: Iterable[Genotype], rated: Collection[Genotype] = ()) -> Iterator[Rated]:
        """Rates each of these paths but those in `rated`, and those that the supernet has deleted candidates of.

        The rating is the mean over all images. Paths come in the order of the tree: by their first layer, then by the
        second, and so on, as they are first met in `paths`; whichever of them are rated already. They come in groups,
        each of those of half a second, or of the one path that takes longer. When the iterator ends or is closed, the
        supernet is in the mode in which it was, and its norms know no statistics.
        """
        mode = self.net.training
        tree = [path for path in self._ordered(paths) if path.genotype not in rated]
        features: list[_Features] = []
        before: tuple[int, ...] = ()
        waiting: list[tuple[Genotype, Tensor]] = []
        read = time.monotonic()
        self._used.clear()
        self.net.eval()
        try:
            for path in tree:
                del features[1 + _agreeing(before, path.route) :]
                waiting.append((path.genotype, self._follow(path, features)))
                before = path.route
                if path is tree[-1] or time.monotonic() - read > READ_AFTER:
                    yield from self._read(waiting)
                    waiting, read = [], time.monotonic()
        finally:
            forget([*self._outer, *(norm for norms in self._inner for norm in norms)])
            self.net.train(mode)

    def _read(self, waiting: Sequence[tuple[Genotype, Tensor]]) -> Iterator[Rated]:
        """Ratings that the device has, or will have."""
        ratings = torch.stack([rating for _, rating in waiting]).tolist()
        for (path, _), rating in zip(waiting, ratings, strict=True):
            yield Rated(block=self.rater.block, path=path, rating=rating)

    def _ordered(self, paths: Iterable[Genotype]) -> list[_Path]:
        view, choices = self.rater.view, self.net.choices
        # As numpy, which is much faster on arrays as small as the picks of one layer.
        rows = [list(layer.rows) for layer in view.layers]
        inside = torch.zeros(len(choices), 1, dtype=torch.bool)
        inside[[row for several in rows for row in several]] = True
        deleted = (~choices.kept.cpu()).numpy()
        # Picks are numbered as they are first met, layer by layer.
        numbers: list[dict[bytes, int]] = [{} for _ in rows]
        found = []
        for genotype in paths:
            mask = self.space.encode(genotype, choices) & inside
            picks = mask.numpy()
            if (picks & deleted).any():
                continue
            route = []
            for several, known in zip(rows, numbers, strict=True):
                picked = picks[several].tobytes()
                passes = len(several) > 0 and not any(picked)
                route.append(PASSED if passes else known.setdefault(picked, len(known) + 1))
            found.append(_Path(genotype, mask, tuple(route)))
        return sorted(found, key=lambda path: path.route)

    @torch.no_grad()
    def _follow(self, path: _Path, features: list[_Features]) -> Tensor:
        """The rating of a path, float64 () on the device.

        `features` are those at its start, and grow to the ones after each of its layers.
        """
        view = self.rater.view
        with self.net.choices.only(path.mask):
            if not features:
                features.append(self._enter())
            for number in range(len(features) - 1, len(view.layers)):
                last = features[-1]
                if path.route[number] != PASSED:
                    self.evaluations += 1
                    last = self._layer(number, path.route[number], last)
                features.append(last)
            last = features[-1]
            if not self._outer:  # nothing on the way out is measured
                last = attrs.evolve(last, measured=[])
            return self._rating(_through(view.leave, self._outer, last).rated)

    def _layer(self, number: int, picked: int, features: _Features) -> _Features:
        """One layer on, with what a route says is picked there."""
        used = self._used.get((number, picked))
        norms = self._inner[number] if used is None else used
        passed = _through(self.rater.view.layers[number].compute, norms, features)
        if used is None:
            # What a layer computes depends on its picks alone, and so do the norms that it goes through.
            self._used[number, picked] = tuple(norm for norm in norms if _has_measured(norm))
        return passed

    def _enter(self) -> _Features:
        inputs = _Features(
            measured=[self.rater.inputs(batch) for batch in self.calibration],
            rated=[self.rater.inputs(batch) for batch in self.images],
        )
        return _through(self.rater.view.enter, self._outer, inputs)

    def _rating(self, outputs: Sequence[Tensor]) -> Tensor:
        sizes = [len(batch.labels) for batch in self.images]
        terms = [self.rater.rate(out, batch) for out, batch in zip(outputs, self.images, strict=True)]
        shares = [term.double() * (size / sum(sizes)) for term, size in zip(terms, sizes, strict=True)]
        return sum(shares[1:], start=shares[0])


def _through(compute: Callable[[Any], Any], norms: Sequence[AnyNorm], features: _Features) -> _Features:
    """All states one computation on, its norms measured on the way."""
    with measuring(norms):
        measured = [compute(state) for state in features.measured]
    return _Features(measured, [compute(state) for state in features.rated])


def _has_measured(norm: AnyNorm) -> bool:
    """Whether any batch went through a norm since it began to measure."""
    batches = norm.batches if isinstance(norm, Norm) else norm.num_batches_tracked
    return bool(batches)


def _agreeing(first: Sequence[int], second: Sequence[int]) -> int:
    """How many numbers at their start two routes have in common."""
    return next((place for place, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), len(first))
