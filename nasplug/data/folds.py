"""Folds for cross-validation: disjoint, stratified by class, a function of the seed."""

from __future__ import annotations

from typing import Any, Self

import attrs
import numpy as np
import numpy.typing as npt

from nasplug.values.seeds import derive_seed

Indices = npt.NDArray[np.int64]


@attrs.frozen
class Fold:
    """One of several folds: the part that one training of a cross-validation holds out."""

    number: int
    """Counted from 0."""
    of: int
    """How many folds there are."""

    @classmethod
    def all(cls, count: int) -> list[Self]:
        """Each of `count` folds."""
        return [cls(number, count) for number in range(count)]

    def __str__(self) -> str:
        """The fold as a part of the name of a phase, counted from 1: "1-of-5"."""
        return f"{self.number + 1}-of-{self.of}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return attrs.asdict(self)


def make_folds(pool: Indices, strata: Indices, count: int, seed: int) -> list[Indices]:
    """Divides `pool` (ascending indices into `strata`) into `count` folds, each ascending.

    Their sizes differ by at most one image, and so do their numbers of images of each stratum, such as a class: the
    images are sorted by stratum, those of a stratum at random, and dealt to the folds in turn.
    """
    shuffled = np.random.default_rng(derive_seed(seed, "folds", count)).permutation(pool)
    by_stratum = shuffled[np.argsort(strata[shuffled], kind="stable")]
    return [np.sort(by_stratum[number::count]) for number in range(count)]
