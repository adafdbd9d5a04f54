"""Rates the paths through one block of a trained supernet, computing what several paths have in common only once.

All paths through a block form a tree: paths that agree in their first layers share the features after these. The tree
is traversed depth first and each node computed once (Li et al., Blockwisely Supervised NAS with Knowledge Distillation,
CVPR 2020, algorithm 1): with L layers of 6 candidates each, 6 + 36 + ... + 6^L layers instead of L * 6^L. The batch
norms of a supernet need statistics of their own for every path. So the images on which they are measured pass through
the tree beside the images that are rated: each layer is computed first on the former, then on the latter.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from nasplug.parts import Batch, Rater, SearchSpace, Supernet
from nasplug.supernets.normalise import AnyNorm, Norm, find_norms, measure_statistics, reset_statistics
from nasplug.values import Genotype, Rated

SKIPPED = 0
"""In a route: the layer returns its state unchanged, since none of its candidates is picked."""
READ_AFTER = 0.5
"""Seconds between two reads of ratings; at each read the host waits for the device."""


@attrs.frozen(eq=False)
class _Features:
    """The states of a block after one of its layers."""

    measured: list[Any]
    """Those of the images on which the norms are measured, batch by batch."""
    rated: list[Any]
    """Those of the images that are rated, batch by batch."""


@attrs.frozen(eq=False)
class _Path:
    genotype: Genotype
    mask: Tensor
    """The candidates on the path, bool (choices, candidates); none for choices that the block does not use."""
    route: tuple[int, ...]
    """By layer, a number for what is picked there: paths whose routes have the same start share features."""


@attrs.define(eq=False)
class PathRating:
    """Rates paths through the block of `rater`, all on the same images, and counts the layers computed.

    At any time only the features along one path are held. The supernet computes in evaluation mode, without gradients
    and in the precision of its weights; every norm uses the statistics of `calibration` on the path being rated.
    """

    net: Supernet
    space: SearchSpace
    rater: Rater
    calibration: Sequence[Batch]
    """Images on which the norms are measured."""
    images: Sequence[Batch]
    """Images on which paths are rated."""
    evaluations: int = attrs.field(default=0, init=False)
    """The number of layers computed so far; one layer on all images counts once."""
    _inner: list[tuple[AnyNorm, ...]] = attrs.field(init=False)
    _outer: tuple[AnyNorm, ...] = attrs.field(init=False)
    _used: dict[tuple[int, int], tuple[AnyNorm, ...]] = attrs.field(factory=dict, init=False)
    """By the number of a layer and what is picked there, the norms that are used in it."""

    def __attrs_post_init__(self) -> None:
        view = self.rater.view
        self._inner = [find_norms(layer.module) for layer in view.layers]
        inner = {id(norm) for norms in self._inner for norm in norms}
        # Norms before the first layer and after the last one.
        self._outer = tuple(norm for module in view.modules for norm in find_norms(module) if id(norm) not in inner)

    def rate(self, paths: Iterable[Genotype], rated: Collection[Genotype] = ()) -> Iterator[Rated]:
        """Rates every path except those in `rated` and those with candidates that the supernet has deleted.

        The rating is the mean over all images. Paths are rated in the order of the tree: by their first layer, then by
        the second, and so on, each in the order of first appearance in `paths`, independently of `rated`. Ratings are
        yielded in groups of about READ_AFTER seconds of work, of at least one path. When the iterator ends or is
        closed, the supernet is back in its previous mode, and its norms have no measured statistics.
        """
        mode = self.net.training
        tree = [path for path in self._sort_paths(paths) if path.genotype not in rated]
        features: list[_Features] = []
        previous: tuple[int, ...] = ()
        waiting: list[tuple[Genotype, Tensor]] = []
        last_read = time.monotonic()
        self._used.clear()
        self.net.eval()
        try:
            if tree:
                self.rater.prepare(self.calibration)
            for path in tree:
                del features[1 + _common_length(previous, path.route) :]
                waiting.append((path.genotype, self._follow(path, features)))
                previous = path.route
                if path is tree[-1] or time.monotonic() - last_read > READ_AFTER:
                    yield from self._read(waiting)
                    waiting, last_read = [], time.monotonic()
        finally:
            reset_statistics([*self._outer, *(norm for norms in self._inner for norm in norms)])
            self.net.train(mode)

    def _read(self, waiting: Sequence[tuple[Genotype, Tensor]]) -> Iterator[Rated]:
        """Reads these ratings from the device, waiting for them if necessary."""
        ratings = torch.stack([rating for _, rating in waiting]).tolist()
        for (path, _), rating in zip(waiting, ratings, strict=True):
            yield Rated(block=self.rater.block, path=path, rating=rating)

    def _sort_paths(self, paths: Iterable[Genotype]) -> list[_Path]:
        view, choices = self.rater.view, self.net.choices
        # In numpy, which is much faster on arrays as small as the picks of one layer.
        rows = [list(layer.rows) for layer in view.layers]
        inside = torch.zeros(len(choices), 1, dtype=torch.bool)
        inside[[row for layer_rows in rows for row in layer_rows]] = True
        deleted = (~choices.kept.cpu()).numpy()
        # The picks of each layer are numbered in the order of their first appearance.
        numbers: list[dict[bytes, int]] = [{} for _ in rows]
        encoded = []
        for genotype in paths:
            mask = self.space.encode(genotype, choices) & inside
            picks = mask.numpy()
            if (picks & deleted).any():
                continue
            route = []
            for layer_rows, known in zip(rows, numbers, strict=True):
                picked = picks[layer_rows].tobytes()
                skips = len(layer_rows) > 0 and not any(picked)
                route.append(SKIPPED if skips else known.setdefault(picked, len(known) + 1))
            encoded.append(_Path(genotype, mask, tuple(route)))
        return sorted(encoded, key=lambda path: path.route)

    @torch.no_grad()
    def _follow(self, path: _Path, features: list[_Features]) -> Tensor:
        """Computes the rating of a path, float64 () on the device.

        `features` holds those after the first layers, which the previous path shares; those after the others are
        appended.
        """
        view = self.rater.view
        with self.net.choices.only(path.mask):
            if not features:
                features.append(self._enter())
            for number in range(len(features) - 1, len(view.layers)):
                last = features[-1]
                if path.route[number] != SKIPPED:
                    self.evaluations += 1
                    last = self._compute_layer(number, path.route[number], last)
                features.append(last)
            last = features[-1]
            if not self._outer:  # no norms after the last layer need measuring
                last = attrs.evolve(last, measured=[])
            return self._mean_rating(_measure_and_compute(view.leave, self._outer, last).rated)

    def _compute_layer(self, number: int, picked: int, features: _Features) -> _Features:
        """Computes layer `number` with the candidates that `picked` stands for."""
        used = self._used.get((number, picked))
        norms = self._inner[number] if used is None else used
        result = _measure_and_compute(self.rater.view.layers[number].compute, norms, features)
        if used is None:
            # What a layer computes depends on its picks alone, and so do the norms that it uses.
            self._used[number, picked] = tuple(norm for norm in norms if _has_measured(norm))
        return result

    def _enter(self) -> _Features:
        inputs = _Features(
            measured=[self.rater.inputs(batch) for batch in self.calibration],
            rated=[self.rater.inputs(batch) for batch in self.images],
        )
        return _measure_and_compute(self.rater.view.enter, self._outer, inputs)

    def _mean_rating(self, outputs: Sequence[Tensor]) -> Tensor:
        sizes = [len(batch.labels) for batch in self.images]
        terms = [self.rater.rate(out, batch) for out, batch in zip(outputs, self.images, strict=True)]
        shares = [term.double() * (size / sum(sizes)) for term, size in zip(terms, sizes, strict=True)]
        return sum(shares[1:], start=shares[0])


def _measure_and_compute(compute: Callable[[Any], Any], norms: Sequence[AnyNorm], features: _Features) -> _Features:
    """Applies one computation to all states, after measuring its norms."""
    with measure_statistics(norms):
        measured = [compute(state) for state in features.measured]
    return _Features(measured, [compute(state) for state in features.rated])


def _has_measured(norm: AnyNorm) -> bool:
    """Whether a norm has measured any batch."""
    batches = norm.batches if isinstance(norm, Norm) else norm.num_batches_tracked
    return bool(batches)


def _common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """The length of the longest common start of two routes."""
    return next((index for index, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), len(first))
