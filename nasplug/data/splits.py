"""Splits of a data set: disjoint, seeded, stratified by class, and stored as indices."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import attrs
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from nasplug.errors import InputError, reason
from nasplug.parts import ImageData
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


def make_splits(data: ImageData, seed: int, validation: float = 0.1, test: float = 0.2) -> Splits:
    """Splits the images of `data`; a function of the labels, the seed and the shares.

    `validation` is a share of `data.train`, or 0 for none; a share that is less than ENOUGH_VALIDATION images is raised
    to that many, or to a third of what is not for the test. `test` is a share of `data.train` as well, without images
    for validation of its own, and is taken first. Neither has an effect on data with such images of their own. Raises
    InputError if training would keep fewer than SMALLEST_CLASS images of a class, or fewer images than are held out for
    validation.
    """
    labels = np.asarray(data.train.labels, dtype=np.int64)
    rest = np.arange(len(labels), dtype=np.int64)
    if data.validation is not None:
        rest = np.setdiff1d(rest, data.validation, assume_unique=True)
    if data.test is None:
        test_indices, rest = _sample(rest, labels, round(test * len(rest)), derive_seed(seed, "split", "test"))
    else:
        test_indices = np.arange(len(data.test), dtype=np.int64)
    if data.validation is not None:
        validation_indices, train = np.sort(data.validation), rest
    else:
        size = _validation_size(data, len(rest), validation)
        validation_indices, train = _sample(rest, labels, size, derive_seed(seed, "split", "validation"))
    counts = np.bincount(labels[train], minlength=len(data.classes))
    if counts.min() < SMALLEST_CLASS:
        scarce = int(counts.argmin())
        raise InputError(
            f"Class '{data.classes[scarce]}' of data set '{data.name}' has {int((labels == scarce).sum())} images, of "
            f"which {counts[scarce]} would be left for training, and training needs at least {SMALLEST_CLASS} of each "
            f"class; use more images of this class, or hold out fewer."
        )
    return Splits(train, validation_indices, test_indices, "train" if data.test is None else "test")


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
    """Writes `splits` to a safetensors file atomically."""
    arrays = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    draft = path.with_name(path.name + ".new")
    metadata = {"test_from": str(splits.test_from)}
    content = save(arrays, metadata={**metadata, CHECKSUM: _checksum(arrays, metadata)})
    draft.write_bytes(b"".join(sort_metadata(content)))
    os.replace(draft, path)


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


def _sample(pool: Indices, labels: Indices, count: int, seed: int) -> tuple[Indices, Indices]:
    """Samples `count` of `pool`, stratified by class (largest remainders first); returns these and the rest, sorted."""
    classes, sizes = np.unique(labels[pool], return_counts=True)
    exact = sizes * (count / max(len(pool), 1))
    quotas = np.floor(exact).astype(np.int64)
    missing = count - int(quotas.sum())
    quotas[np.argsort(quotas - exact, kind="stable")[:missing]] += 1
    generator = np.random.default_rng(seed)
    samples = [
        generator.permutation(pool[labels[pool] == label])[:quota] for label, quota in zip(classes, quotas, strict=True)
    ]
    taken = np.sort(np.concatenate([np.empty(0, np.int64), *samples]))
    return taken, np.setdiff1d(pool, taken, assume_unique=True)
