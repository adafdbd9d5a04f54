"""A user's own images: one folder per class."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import attrs
import numpy as np

from nasplug.builtin.data_sets.class_folders import (
    PassedOver,
    find_classes,
    find_images,
    find_layout,
    note_similar_names,
)
from nasplug.data.class_names import printable
from nasplug.data.decoding import FileImages, find_bits
from nasplug.errors import InputError
from nasplug.formats.regular_file import expand_home
from nasplug.parts import DataSource, ImageData
from nasplug.values.options import option


@attrs.frozen
class Folder(DataSource):
    """`--data folder:PATH`: PATH/CLASS/IMAGE, or PATH/train/CLASS/IMAGE with PATH/test/CLASS/IMAGE for the test.

    Classes are named after their folders and sorted. Images are all files in a format of pixels that Pillow reads, also
    those in folders within a class folder. What is passed over is said: other files, hidden folders, folders whose
    names begin with `__`, and folders beside train and test, where validation images are taken from train.
    """

    location_is_path: ClassVar[bool] = True

    size: int = option(32, "side to which images are scaled and cropped, in pixels", at_least=1)
    channels: int = option(3, "colour planes: 3, or 1 for grey", choices=(1, 3))
    flips: bool = option(True, "whether a mirrored image is the same thing")
    memory: int = option(2048, "images beyond this stay in their files while training, in MiB", at_least=0)

    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Lists the images and, if all of them fit into `memory`, decodes them."""
        if not location:
            raise InputError("Data set 'folder' needs a path, but none was given; use --data folder:PATH.")
        path = expand_home(location)
        passed_over = PassedOver()
        layout = find_layout(path, passed_over)
        folders = [layout.train] if layout.test is None else [layout.train, layout.test]
        classes = [find_classes(folder, passed_over) for folder in folders]
        names = tuple(classes[0])
        if tuple(classes[-1]) != names:
            differ = [printable(name) for name in sorted(set(classes[0]) ^ set(classes[1]))]
            raise InputError(
                f"{layout.test} must have the classes of {layout.train}, but they differ in "
                f"{', '.join(differ[:5])}{' ...' if len(differ) > 5 else ''}; add or remove those folders."
            )
        found = [find_images(each, passed_over) for each in classes]
        bits = find_bits(image for images, _ in found for of_class in images for image in of_class)
        files = [self._files(path, images, bits) for images, _ in found]
        fits = sum(images.nbytes for images in files) <= self.memory << 20
        loaded = [images.in_memory() if fits else images for images in files]
        return ImageData(
            name="folder",
            classes=names,
            size=self.size,
            channels=self.channels,
            train=loaded[0],
            test=loaded[1] if len(loaded) > 1 else None,
            flips=self.flips,
            shift=self.size // 8,
            bits=bits,
            notes=(
                *passed_over.note(path),
                *dict.fromkeys(note for _, notes in found for note in notes),
                *note_similar_names(names),
            ),
        )

    def _files(self, root: Path, images: list[list[Path]], bits: int | None) -> FileImages:
        labels = np.repeat(np.arange(len(images), dtype=np.int64), [len(paths) for paths in images])
        paths = tuple(path for of_class in images for path in of_class)
        return FileImages(paths, labels, self.size, self.channels, bits, root)
