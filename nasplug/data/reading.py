"""Reads many images in order, in threads, and finds all that cannot be read before it gives up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nasplug.data.batch_reader import BATCHES_AHEAD, BatchReader, Indices
from nasplug.data.class_names import printable
from nasplug.errors import InputError
from nasplug.parts import Images
from nasplug.parts.task import Targets

CHUNK = 128
"""Images read at a time by each thread."""
NAMED = 10
"""Files or classes that a message names; it counts the others."""
NAMED_FILES = 100
"""The same for files that cannot be read: somebody has to repair or remove all of them."""


class UnreadableImages(InputError):
    """Image files that cannot be read."""

    def __init__(self, failures: Sequence[tuple[str, str]], *, skippable: bool = False) -> None:
        """`failures` are pairs of a path and the reason; `skippable`: of a data set that can leave them out."""
        self.failures = tuple((printable(path), reason) for path, reason in failures)
        self.skippable = skippable
        start, them = f"{len(self.failures)} image files cannot be read: {list_failures(self.failures)}", "them"
        if len(self.failures) == 1:
            path, reason = self.failures[0]
            start, them = f"The image file {path} cannot be read ({reason})", "it"
        way_on = f", or start with data.skip_damaged=true, which leaves {them} out" if skippable else ""
        super().__init__(f"{start}; repair or remove {them}{way_on}.")

    def __reduce__(self) -> tuple[Callable[..., UnreadableImages], tuple[Sequence[tuple[str, str]]]]:
        # workers send it to the process that waits for them
        return partial(type(self), skippable=self.skippable), (self.failures,)


def list_some(words: Sequence[str], most: int = NAMED) -> str:
    """The first `most` of `words`, and how many more there are."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def list_failures(failures: Sequence[tuple[str, str]]) -> str:
    """The first NAMED_FILES files that cannot be read, each with the reason, and how many more there are."""
    return list_some([f"{path} ({reason})" for path, reason in failures], NAMED_FILES)


def read_in_chunks(images: Images, indices: Indices) -> Iterator[Tensor]:
    """The images at `indices` in order, uint8 (n, C, H, W) with n up to CHUNK, on the CPU.

    Where files cannot be read, the others are read all the same, and UnreadableImages names all of them at the end.
    """
    count = -(-len(indices) // CHUNK)

    def positions(number: int) -> tuple[Indices, slice]:
        return indices, slice(number * CHUNK, (number + 1) * CHUNK)

    reader = BatchReader(images, positions, torch.device("cpu"), resident=False)
    failures: list[tuple[str, str]] = []
    skippable = False
    for number in range(count):
        reader.prefetch(number, min(number + BATCHES_AHEAD, count))
        try:
            pixels, _ = reader.read(number)
        except UnreadableImages as error:
            failures += error.failures
            skippable = error.skippable
        else:
            yield pixels
    if failures:
        raise UnreadableImages(failures, skippable=skippable)


def all_of(images: Images) -> Indices:
    """The indices of all images."""
    return np.arange(len(images), dtype=np.int64)


def list_targets(targets: Targets) -> list[Any]:
    """The target of each image as a value that can be compared: a class, or a tuple of numbers."""
    return targets.tolist() if targets.ndim == 1 else [tuple(row) for row in targets.tolist()]
