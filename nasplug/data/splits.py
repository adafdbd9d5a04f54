"""Splits of a data set: disjoint, seeded, stratified by class, and stored as indices."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import attrs
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from nasplug.data.folds import Fold, make_folds
from nasplug.errors import InputError, reason
from nasplug.formats.atomic_write import write_atomically
from nasplug.parts import ImageData, Images
from nasplug.values.checksum import CHECKSUM, checksum_arrays, sort_metadata
from nasplug.values.seeds import derive_seed

Indices = npt.NDArray[np.int64]

ENOUGH_VALIDATION = 300
"""With fewer validation images, good networks can hardly be ranked: 300 give a standard error of 1 % at 3 % error."""
LARGEST_SHARE = 3
"""To get that many, at most one of so many images is held out, unless more is asked for."""

SMALLEST_CLASS = 2
"""The least number of training images of each class."""


@attrs.frozen(eq=False)
class Splits:
    """Indices of each split, int64, ascending. `train` and `validation` index `ImageData.train`."""

    train: Indices
    """Used for training."""
    validation: Indices
    """Used only to select networks; may be empty."""
    test: Indices
    """Used once for each finished network."""
    test_from: Literal["train", "test"]
    """Whether `test` indexes `ImageData.test` or, for data without test images of their own, `ImageData.train`."""

    def test_images(self, data: ImageData) -> Images:
        """The images of `data` that `test` indexes."""
        return data.train if self.test_from == "train" or data.test is None else data.test

    @property
    def development(self) -> Indices:
        """Everything that is not for the test, ascending: what cross-validation divides into folds."""
        return np.sort(np.concatenate([self.train, self.validation]))

    def with_fold(self, fold: Fold, strata: Indices, seed: int) -> Splits:
        """The same test images; of the others, of these `strata`, one fold for validation, the rest for training."""
        held_out = make_folds(self.development, strata, fold.of, seed)[fold.number]
        return attrs.evolve(self, train=np.setdiff1d(self.development, held_out), validation=held_out)

    def without_validation(self) -> Splits:
        """The same test images, and all others for training."""
        return attrs.evolve(self, train=self.development, validation=self.validation[:0])


def make_splits(data: ImageData, seed: int, validation: float = 0.1, test: float = 0.2, folds: int = 0) -> Splits:
    """Splits the images of `data`; a function of their strata, the seed, the shares and the number of folds.

    `validation` is a share of `data.train`, or 0 for none; a share that is less than ENOUGH_VALIDATION images is raised
    to that many, or to a third of what is not for the test. `test` is a share of `data.train` as well, without images
    for validation of its own, and is taken first. Neither has an effect on data with such images of their own. With
    `folds`, the first of so many is the validation split, whatever its share; validation images that data have of their
    own are then divided as the others are.

    Every stratum, such as a class (`Task.strata`), has its share in each split, rounded by largest remainders, and at
    least one image wherever it has enough for all splits and the split is large enough for all strata. A class that has
    no image to spare gives none, and others give more. Raises InputError if training would keep fewer than
    SMALLEST_CLASS images of a class, fewer images than are held out for validation, or too little of an output for its
    task.
    """
    strata = data.task.strata(data.train.labels)
    least = SMALLEST_CLASS if data.task.has_classes else 0
    rest = np.arange(len(strata), dtype=np.int64)
    if data.validation is not None:
        rest = np.setdiff1d(rest, data.validation, assume_unique=True)
    if data.test is None:
        kept = SMALLEST_CLASS + (validation > 0 and data.validation is None)
        # With folds, a class may have more images than these for training: its own for validation are divided anew.
        own_least = 0 if folds and data.validation is not None else least
        seed_of_test = derive_seed(seed, "split", "test")
        test_indices, rest = _sample(rest, strata, round(test * len(rest)), kept, own_least, seed_of_test)
    else:
        test_indices = np.arange(len(data.test), dtype=np.int64)
    test_from: Literal["train", "test"] = "train" if data.test is None else "test"
    if folds:
        own = rest[:0] if data.validation is None else np.sort(data.validation)
        undivided = Splits(rest, own, test_indices, test_from).without_validation()
        check_folds(data, undivided, folds)
        return undivided.with_fold(Fold(0, folds), strata, seed)
    if data.validation is not None:
        validation_indices, train = np.sort(data.validation), rest
    else:
        size = _validation_size(data, len(rest), validation)
        seed_of_validation = derive_seed(seed, "split", "validation")
        validation_indices, train = _sample(rest, strata, size, SMALLEST_CLASS, least, seed_of_validation)
    _refuse_scarce(data, train, 1)
    return Splits(train, validation_indices, test_indices, test_from)


def check_folds(data: ImageData, splits: Splits, folds: int) -> None:
    """Raises InputError if what is not for the test is too little for so many folds."""
    pool = splits.development
    if 2 * folds > len(pool):
        raise InputError(
            f"data.folds={folds} is too much for the {len(pool)} images of data set '{data.name}' that are not for the "
            f"test, since a fold needs two images or more; use at most {len(pool) // 2} folds, such as data.folds=5."
        )
    _refuse_scarce(data, pool, folds)


def _refuse_scarce(data: ImageData, pool: Indices, folds: int) -> None:
    """Raises InputError if training on `pool`, without one of several folds, has too few images or says too little."""
    targets = data.train.labels[pool]
    data.task.check_training(targets, data.classes, data.name)
    if not data.task.has_classes:
        return
    left = np.bincount(targets, minlength=len(data.classes))
    if folds > 1:
        left = left - -(-left // folds)
    if left.min() < SMALLEST_CLASS:
        scarce = int(left.argmin())
        count = int((data.train.labels == scarce).sum())
        remedy = "use more images of this class" + (", or hold out fewer" if count >= SMALLEST_CLASS else "")
        raise InputError(
            f"Class '{data.classes[scarce]}' of data set '{data.name}' has {count} image{'' if count == 1 else 's'}, "
            f"of which {left[scarce]} would be left for training, and training needs at least {SMALLEST_CLASS} of each "
            f"class; {remedy}."
        )


def _validation_size(data: ImageData, available: int, share: float) -> int:
    """How many of the images that are `available` for training and validation are held out."""
    count = len(data.train)
    size = max(round(share * count), min(ENOUGH_VALIDATION, available // LARGEST_SHARE)) if share > 0 else 0
    if size > available - size:
        largest = available // 2 / max(count, 1)
        raise InputError(
            f"data.validation={share:g} holds out {size} images, but data set '{data.name}' has {available} "
            f"images for training and validation, and training must keep no fewer than validation takes; use a smaller "
            f"data.validation (at most {int(largest * 1000) / 1000:g}) or more images."
        )
    return size


def divide(indices: Indices, shares: Mapping[str, float], seed: int) -> dict[str, Indices]:
    """Divides a split at random into disjoint named shares, such as {"train.weights": 0.5, "train.alpha": 0.5}.

    Shares that sum to less than 1 leave images unused; a single share of 1 gives the split unchanged. Raises InputError
    for a share that would be empty and for shares that sum to more than 1.
    """
    if list(shares.values()) == [1.0]:
        return dict.fromkeys(shares, indices)
    if sum(shares.values()) > 1 + 1e-9:
        listed = ", ".join(f"{name}={share:g}" for name, share in shares.items())
        raise InputError(f"The shares of a split must sum to at most 1, but {listed} sum to {sum(shares.values()):g}.")
    shuffled = np.random.default_rng(derive_seed(seed, "divide")).permutation(indices)
    result: dict[str, Indices] = {}
    begin, done = 0, 0.0
    for name, share in shares.items():
        done += share
        end = min(round(done * len(indices)), len(indices))
        if end <= begin:
            raise InputError(
                f"The share {name}={share:g} of a split of {len(indices)} images would hold no image; use more images "
                f"or another share."
            )
        result[name] = np.sort(shuffled[begin:end])
        begin = end
    return result


def save_splits(splits: Splits, path: Path) -> None:
    """Writes `splits` to a safetensors file atomically. Raises RunFailure if that fails, as on a full disk."""
    arrays = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    metadata = {"test_from": str(splits.test_from)}
    content = save(arrays, metadata={**metadata, CHECKSUM: _checksum(arrays, metadata)})
    write_atomically(path, *sort_metadata(content))


def load_splits(path: Path) -> Splits:
    """Reads what `save_splits` wrote. Raises InputError if the file is missing or damaged.

    Files of versions before 0.2 have no checksum.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path} with the splits of this run; start the run again.")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            test_from = metadata.get("test_from")
            # numpy lacks some dtypes; an array that is left out is missed below
            names = [name for name in file.keys() if file.get_slice(name).get_dtype() == "I64"]  # noqa: SIM118
            arrays = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise InputError(f"The splits in {path} cannot be read ({reason(error)}); start the run again.") from error
    whole = set(arrays) == {"train", "validation", "test"} and test_from in ("train", "test")
    if not whole or any(array.dtype != np.int64 or array.ndim != 1 for array in arrays.values()):
        raise InputError(
            f"{path} is no file of splits: it needs the int64 lists train, validation and test, and 'test_from' in "
            f"its metadata; start the run again."
        )
    if metadata.get(CHECKSUM) not in (None, _checksum(arrays, metadata)):
        raise InputError(
            f"The splits in {path} are damaged: they do not match their checksum; restore the file from a copy of the "
            f"run, or start the run again."
        )
    of_train = [arrays["train"], arrays["validation"], *([arrays["test"]] if test_from == "train" else [])]
    ascending = all((np.diff(array, prepend=-1) > 0).all() for array in arrays.values())
    if not ascending or len(np.unique(np.concatenate(of_train))) < sum(map(len, of_train)):
        raise InputError(
            f"The splits in {path} are damaged: their indices must be ascending from 0 on, and no image may be in two "
            f"of them; restore the file from a copy of the run, or start the run again."
        )
    return Splits(**arrays, test_from="train" if test_from == "train" else "test")


def _checksum(arrays: Mapping[str, npt.NDArray[np.generic]], metadata: Mapping[str, str]) -> str:
    contents = ((f"{name} {array.dtype} {list(array.shape)}", array.data) for name, array in arrays.items())
    return checksum_arrays(contents, metadata)


def _sample(pool: Indices, strata: Indices, count: int, kept: int, least: int, seed: int) -> tuple[Indices, Indices]:
    """Samples `count` of `pool`, the same share of each stratum; returns these and the rest, sorted.

    Shares are rounded by largest remainders. Where `count` is enough for all strata, each that has more than `kept`
    images gives at least one. None is left with less than `least` images, unless all together cannot spare `count`.
    """
    numbers, sizes = np.unique(strata[pool], return_counts=True)
    exact = sizes * (count / max(len(pool), 1))
    quotas = np.floor(exact).astype(np.int64)
    missing = count - int(quotas.sum())
    quotas[np.argsort(quotas - exact, kind="stable")[:missing]] += 1
    if count >= len(numbers):
        for place in np.flatnonzero((quotas == 0) & (sizes > kept)):
            quotas[place] = 1
            quotas[np.where(quotas > 1, quotas - exact, -np.inf).argmax()] -= 1  # the one with most above its share
    quotas = _spare(quotas, exact, np.maximum(sizes - least, 0))
    generator = np.random.default_rng(seed)
    samples = [
        generator.permutation(pool[strata[pool] == number])[:quota]
        for number, quota in zip(numbers, quotas, strict=True)
    ]
    taken = np.sort(np.concatenate([np.empty(0, np.int64), *samples]))
    return taken, np.setdiff1d(pool, taken, assume_unique=True)


def _spare(quotas: Indices, exact: npt.NDArray[np.floating[Any]], most: Indices) -> Indices:
    """Quotas of the same sum of which none is over `most`: what is, go to the strata that are furthest below `exact`.

    Quotas whose sum is more than all can give stay as they are.
    """
    if quotas.sum() > most.sum():
        return quotas
    spared = np.minimum(quotas, most)
    for _ in range(int((quotas - spared).sum())):
        spared[np.where(spared < most, exact - spared, -np.inf).argmax()] += 1
    return spared
