"""What data sets of image files have in common: how files become square images, and whether they are held in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import attrs
import numpy as np

from nasplug.data.decoding import FileImages, find_bits
from nasplug.parts import DataSource, ImageData
from nasplug.values.options import option


@attrs.frozen
class ImageFiles(DataSource):
    """A data set whose images are files of any size."""

    location_is_path: ClassVar[bool] = True

    size: int = option(32, "side to which images are scaled and cropped, in pixels", at_least=1)
    channels: int = option(3, "colour planes: 3, or 1 for grey", choices=(1, 3))
    flips: bool = option(True, "whether a mirrored image is the same thing")
    memory: int = option(2048, "images beyond this stay in their files while training, in MiB", at_least=0)

    def assemble(
        self,
        name: str,
        classes: tuple[str, ...],
        splits: Sequence[Sequence[Sequence[Path]]],
        root: Path,
        notes: tuple[str, ...],
    ) -> ImageData:
        """The data set of these files, decoded if all of them fit into `memory`.

        `splits` holds the training files and, if there are any, the test files, each by class. Files are named from
        `root`.
        """
        bits = find_bits(file for split in splits for of_class in split for file in of_class)
        images = [self._images(split, root, bits) for split in splits]
        fits = sum(each.nbytes for each in images) <= self.memory << 20
        loaded = [each.in_memory() if fits else each for each in images]
        return ImageData(
            name=name,
            classes=classes,
            size=self.size,
            channels=self.channels,
            train=loaded[0],
            test=loaded[1] if len(loaded) > 1 else None,
            flips=self.flips,
            shift=self.size // 8,
            bits=bits,
            notes=notes,
        )

    def _images(self, split: Sequence[Sequence[Path]], root: Path, bits: int | None) -> FileImages:
        labels = np.repeat(np.arange(len(split), dtype=np.int64), [len(files) for files in split])
        files = tuple(file for of_class in split for file in of_class)
        return FileImages(files, labels, self.size, self.channels, bits, root)
