"""What data sets of image files have in common: how files become square images, and which are held in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median_low
from typing import ClassVar

import attrs
import numpy as np

from nasplug.data.decoding import inspect_files
from nasplug.data.decoding_processes import start_processes
from nasplug.data.file_images import FileImages
from nasplug.data.pixel_cache import PixelCache
from nasplug.data.suggestions import suggest_size
from nasplug.parts import DataSource, ImageData, Images
from nasplug.values.options import option
from nasplug.values.recipe import MOST_THREADS

SMALLEST, LARGEST = 8, 512
"""Sides to which images can be scaled, in pixels."""


@attrs.frozen
class ImageFiles(DataSource):
    """A data set whose images are files of any size."""

    chosen_from_images: ClassVar[tuple[str, ...]] = ("size",)
    location_is_path: ClassVar[bool] = True

    size: int | None = option(
        None,
        "side to which images are scaled and cropped, in pixels; unset: the median of their shorter sides, at most 64",
        at_least=SMALLEST,
        at_most=LARGEST,
    )
    channels: int = option(3, "colour planes: 3, or 1 for grey", choices=(1, 3))
    flips: bool = option(True, "whether a mirrored image is the same thing")
    memory: int = option(
        2048,
        "MiB for decoded images; if not all fit, they stay in their files, and as many as fit are kept",
        at_least=0,
    )
    crops: str | None = option(
        None,
        "what random crops (augmentation imagenet) are taken from: the square to which an image is scaled and cropped, "
        "or the original in its file; unset: the original where images stay in their files",
        choices=("square", "original"),
    )
    workers: int | None = option(
        None,
        "processes that decode images which stay in their files; 0: none, threads do; unset: from 4 cores on half of "
        "them, at most 8",
        at_least=0,
        at_most=MOST_THREADS,
    )

    def assemble(
        self,
        name: str,
        classes: tuple[str, ...],
        splits: Sequence[Sequence[Sequence[Path]]],
        root: Path,
        notes: tuple[str, ...],
    ) -> ImageData:
        """The data set of these files, decoded if all of them fit into `memory` and no originals are asked for.

        `splits` holds the training files and, if there are any, the test files, each by class. Files are named from
        `root`.
        """
        found = inspect_files(file for split in splits for of_class in split for file in of_class)
        size = suggest_size(np.array(found.shorter_sides, np.int64)) if self.size is None else self.size
        if self.size is None:
            notes = (*notes, _note_size(found.shorter_sides, size))
        files = [self._images(split, root, size, found.bits) for split in splits]
        loaded: Sequence[Images]
        if self.crops != "original" and sum(each.nbytes for each in files) <= self.memory << 20:
            loaded = [each.in_memory() for each in files]
        else:
            cache, processes = PixelCache(self.memory << 20), start_processes(self.workers)
            originals = self.crops != "square"
            loaded = [attrs.evolve(each, has_originals=originals, cache=cache, processes=processes) for each in files]
        return ImageData(
            name=name,
            classes=classes,
            size=size,
            channels=self.channels,
            train=loaded[0],
            test=loaded[1] if len(loaded) > 1 else None,
            flips=self.flips,
            shift=size // 8,
            bits=found.bits,
            notes=notes,
        )

    def _images(self, split: Sequence[Sequence[Path]], root: Path, size: int, bits: int | None) -> FileImages:
        labels = np.repeat(np.arange(len(split), dtype=np.int64), [len(files) for files in split])
        files = tuple(file for of_class in split for file in of_class)
        return FileImages(files, labels, size, self.channels, bits, root)


def _note_size(shorter_sides: Sequence[int], size: int) -> str:
    median = median_low(shorter_sides or (0,))
    return (
        f"Images are scaled to {size} x {size} pixels (data.size; from {SMALLEST} to {LARGEST}): the median of their "
        f"shorter sides is {median:,}" + (", and larger images take longer." if median > size else ".")
    )
