"""What data sets of image files have in common: how files become square images, and whether they are held in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median_low
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import attrs
import numpy as np

from nasplug.data.class_names import printable
from nasplug.data.decoding import inspect_files
from nasplug.data.decoding_processes import start_processes
from nasplug.data.file_images import FileImages
from nasplug.data.pixel_cache import PixelCache
from nasplug.data.reading import UnreadableImages, all_of, list_failures, read_in_chunks
from nasplug.data.suggestions import suggest_size
from nasplug.errors import InputError
from nasplug.parts import DataSource, EncodedImage, ImageData, Images
from nasplug.values.options import option
from nasplug.values.recipe import MOST_THREADS

SMALLEST, LARGEST = 8, 512
"""Sides to which images can be scaled, in pixels."""

FilesByClass = Sequence[Sequence[EncodedImage]]
T = TypeVar("T")


@attrs.frozen
class ImageFiles(DataSource):
    """A data set whose images are files of any size."""

    chosen_from_images: ClassVar[tuple[str, ...]] = ("size",)
    location_is_path: ClassVar[bool] = True
    earlier_options: ClassVar[Mapping[str, Any]] = MappingProxyType({"own_validation": False, "crops": "square"})

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
    crops: str = option(
        "auto",
        "what random crops (augmentation imagenet) are taken from: the square to which an image is scaled and cropped, "
        "or the original in its file; auto: the original where images stay in their files",
        choices=("auto", "square", "original"),
    )
    workers: int | None = option(
        None,
        "processes that decode images which stay in their files; 0: none, threads do; unset: from 4 cores on half of "
        "them, at most 8",
        at_least=0,
        at_most=MOST_THREADS,
    )
    own_validation: bool = option(
        True, "whether images that are kept apart for validation are used for it; else they are passed over"
    )
    skip_damaged: bool = option(False, "whether images that cannot be read are left out; else they are refused")

    def assemble(
        self,
        name: str,
        classes: tuple[str, ...],
        splits: Mapping[str, FilesByClass],
        root: Path,
        notes: tuple[str, ...],
        skipped: Mapping[str, str] = MappingProxyType({}),
    ) -> ImageData:
        """The data set of these files, decoded if all of them fit into `memory` and no originals are asked for.

        `splits` holds the files of "train" and, where there are any, of "validation" and "test", each by class. Files
        are named from `root`. `skipped` says of images that were left out already why they cannot be read.
        """
        _refuse_empty(classes, splits, skipped)
        found = inspect_files(file for split in splits.values() for files in split for file in files)
        size = suggest_size(np.array(found.shorter_sides, np.int64)) if self.size is None else self.size
        held_out = splits.get("validation", ())
        train = self._images([splits["train"], held_out], root, size, found.bits)
        test = self._images([splits["test"]], root, size, found.bits) if "test" in splits else None
        present = [images for images in (train, test) if images is not None]
        fits = self.crops != "original" and sum(images.nbytes for images in present) <= self.memory << 20
        try:
            loaded: Sequence[Images] = _for_all(present, FileImages.in_memory) if fits else self._on_disk(present)
            if self.skip_damaged and not fits:
                _for_all(present, _look_at)
        except UnreadableImages as error:
            if not self.skip_damaged:
                raise
            rest = {split: _without(files, error) for split, files in splits.items()}
            return self.assemble(name, classes, rest, root, notes, {**skipped, **dict(error.failures)})
        count = sum(map(len, held_out))
        return ImageData(
            name=name,
            classes=classes,
            size=size,
            channels=self.channels,
            train=loaded[0],
            test=loaded[1] if test is not None else None,
            flips=self.flips,
            shift=size // 8,
            bits=found.bits,
            notes=(*notes, *_note_skipped(skipped), *self._note_size(found.shorter_sides, size)),
            validation=np.arange(len(train) - count, len(train)) if held_out else None,
            skipped=tuple(skipped),
        )

    def _images(self, splits: Sequence[FilesByClass], root: Path, size: int, bits: int | None) -> FileImages:
        """The files of one or more splits, one after the other."""
        labels = [np.repeat(np.arange(len(split), dtype=np.int64), [len(files) for files in split]) for split in splits]
        files = tuple(file for split in splits for of_class in split for file in of_class)
        return FileImages(files, np.concatenate(labels), size, self.channels, bits, root)

    def _on_disk(self, sets: Sequence[FileImages]) -> list[FileImages]:
        """The same images with a cache, and processes that decode them, in common."""
        cache, processes = PixelCache(self.memory << 20), start_processes(self.workers)
        originals = self.crops != "square"
        return [attrs.evolve(each, has_originals=originals, cache=cache, processes=processes) for each in sets]

    def _note_size(self, shorter_sides: Sequence[int], size: int) -> tuple[str, ...]:
        """Which size was chosen, if it was."""
        if self.size is not None:
            return ()
        median = median_low(shorter_sides or (0,))
        return (
            f"Images are scaled to {size} x {size} pixels (data.size; from {SMALLEST} to {LARGEST}): the median of "
            f"their shorter sides is {median:,}" + (", and larger images take longer." if median > size else "."),
        )


def sort_classes(labels: Iterable[str]) -> tuple[str, ...]:
    """Names of classes in their order: by number if all are numbers, else by name."""
    names = set(labels)
    if not all(name.isascii() and name.isdigit() for name in names):
        return tuple(sorted(names))

    def by_number(name: str) -> tuple[int, str, str]:
        digits = name.lstrip("0")  # compared as text, since Python reads numbers of some thousand digits at most
        return len(digits), digits, name

    return tuple(sorted(names, key=by_number))


def group_by_class(classes: Sequence[str], labelled: Iterable[tuple[EncodedImage, str]]) -> FilesByClass:
    """Files with the name of their class as the files of each class, which keep their order."""
    files: dict[str, list[EncodedImage]] = {name: [] for name in classes}
    for file, name in labelled:
        files[name].append(file)
    return list(files.values())


def _for_all(sets: Sequence[FileImages], read: Callable[[FileImages], T]) -> list[T]:
    """What `read` makes of each set. Raises UnreadableImages, which names what it cannot read in all of them."""
    results: list[T] = []
    failures: list[tuple[str, str]] = []
    for images in sets:
        try:
            results.append(read(images))
        except UnreadableImages as error:
            failures += error.failures
    if failures:
        raise UnreadableImages(failures, skippable=True)
    return results


def _look_at(images: FileImages) -> None:
    """Reads all images and keeps none."""
    for _ in read_in_chunks(images, all_of(images)):
        pass


def _without(files: FilesByClass, error: UnreadableImages) -> FilesByClass:
    """The files that `error` does not name, by class."""
    damaged = dict(error.failures)
    return [[file for file in of_class if printable(str(file)) not in damaged] for of_class in files]


def _refuse_empty(classes: Sequence[str], splits: Mapping[str, FilesByClass], skipped: Mapping[str, str]) -> None:
    """Raises InputError if images were left out and a class has none left for training, or another split none."""
    bare = [
        f"class '{name}' has no training images"
        for name, files in zip(classes, splits["train"], strict=True)
        if not files
    ]
    bare += [f"there are no {split} images" for split, files in splits.items() if not any(files)]
    if skipped and bare:
        raise InputError(f"Without the images that cannot be read, {bare[0]}: {list_failures(tuple(skipped.items()))}.")


def _note_skipped(skipped: Mapping[str, str]) -> tuple[str, ...]:
    if not skipped:
        return ()
    counted = (
        "1 image that cannot be read was" if len(skipped) == 1 else f"{len(skipped):,} images that cannot be read were"
    )
    return (f"{counted} left out (data.skip_damaged): {list_failures(tuple(skipped.items()))}.",)
