"""Images that another program has prepared as arrays in one file, safetensors or npz."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from nasplug.data.array_files import describe, load_arrays
from nasplug.data.images import with_validation
from nasplug.data.targets import note_one_label
from nasplug.errors import InputError
from nasplug.parts import DataSource, ImageData
from nasplug.values.options import option


@attrs.frozen
class Arrays(DataSource):
    """`--data arrays:FILE`: `images`, uint8 (N, H, W, C), and `labels`, whole numbers (N,), in one file.

    That is a safetensors or an npz file. Labels with several columns, (N, outputs), are 0 or 1 (uint8, bool or other
    whole numbers) for each label that an image may have, or floating-point numbers for a regression. The file may hold
    `validation_images` and `validation_labels`, and `test_images` and `test_labels` too, and the names of classes or
    columns as a JSON list in its metadata under `classes`; an npz file has them as an array of text. Images are square,
    with one or three channels.
    """

    location_is_path: ClassVar[bool] = True

    flips: bool = option(True, "whether a mirrored image is the same thing")

    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Reads and checks the whole file."""
        loaded = load_arrays(location, "images", "arrays", _to_pixels)
        _, channels, size, _ = loaded.train.pixels.shape
        notes = note_one_label(loaded.train.labels, loaded.task)
        data = ImageData(
            "arrays",
            loaded.classes,
            size,
            channels,
            loaded.train,
            loaded.test,
            self.flips,
            shift=size // 8,
            notes=notes,
            task=loaded.task,
        )
        return with_validation(data, loaded.validation)


def _to_pixels(path: Path, name: str, images: Tensor) -> Tensor:
    """Images (N, H, W, C) with channels first; InputError if they are none."""
    shape = tuple(images.shape)
    if images.dtype != torch.uint8 or len(shape) != 4 or shape[3] not in (1, 3):
        raise InputError(
            f"'{name}' in {path} must be uint8 of shape (N, H, W, C) with C 1 or 3, but they are {describe(images)}."
        )
    if shape[1] != shape[2] or shape[1] == 0:
        raise InputError(f"'{name}' in {path} must be square, but they are {describe(images)}; crop or pad them.")
    return images.permute(0, 3, 1, 2).contiguous()
