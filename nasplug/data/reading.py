"""Reads many images in order, in threads, and finds all that cannot be read before it gives up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from nasplug.data.batch_reader import BATCHES_AHEAD, BatchReader, Indices
from nasplug.data.class_names import printable
from nasplug.errors import InputError
from nasplug.parts import Images

CHUNK = 128
"""Images read at a time by each thread."""
NAMED = 10
"""Files or classes that a message names; it counts the others."""


class UnreadableImages(InputError):
    """Image files that cannot be read."""

    def __init__(self, failures: Sequence[tuple[str, str]]) -> None:
        """`failures` are pairs of a path and the reason."""
        self.failures = tuple((printable(path), reason) for path, reason in failures)
        if len(self.failures) == 1:
            path, reason = self.failures[0]
            super().__init__(f"The image file {path} cannot be read ({reason}); repair or remove it.")
        else:
            listed = list_some([f"{path} ({reason})" for path, reason in self.failures])
            super().__init__(f"{len(self.failures)} image files cannot be read: {listed}; repair or remove them.")

    def __reduce__(self) -> tuple[type[UnreadableImages], tuple[Sequence[tuple[str, str]]]]:
        return type(self), (self.failures,)  # workers send it to the process that waits for them


def list_some(words: Sequence[str]) -> str:
    """The first NAMED of `words`, and how many more there are."""
    more = f" and {len(words) - NAMED} more" if len(words) > NAMED else ""
    return ", ".join(words[:NAMED]) + more


def read_in_chunks(images: Images, indices: Indices) -> Iterator[Tensor]:
    """The images at `indices` in order, uint8 (n, C, H, W) with n up to CHUNK, on the CPU.

    Where files cannot be read, the others are read all the same, and UnreadableImages names all of them at the end.
    """
    count = -(-len(indices) // CHUNK)

    def positions(number: int) -> tuple[Indices, slice]:
        return indices, slice(number * CHUNK, (number + 1) * CHUNK)

    reader = BatchReader(images, positions, torch.device("cpu"), resident=False)
    failures: list[tuple[str, str]] = []
    for number in range(count):
        reader.prefetch(number, min(number + BATCHES_AHEAD, count))
        try:
            pixels, _ = reader.read(number)
        except UnreadableImages as error:
            failures += error.failures
        else:
            yield pixels
    if failures:
        raise UnreadableImages(failures)


def all_of(images: Images) -> Indices:
    """The indices of all images."""
    return np.arange(len(images), dtype=np.int64)
