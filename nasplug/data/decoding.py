"""Image files of any size and mode as square uint8 images of one size: those of `folder`, and those to classify."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps
from torch import Tensor

from nasplug.data.images import MemoryImages
from nasplug.errors import InputError
from nasplug.parts import Images

THREADS = 4
"""Files decoded at a time where all are read at once; Pillow decodes outside Python's global lock."""


@attrs.frozen(eq=False)
class FileImages(Images):
    """Images that stay in their files and are decoded each time they are read."""

    paths: tuple[Path, ...]
    labels: npt.NDArray[np.int64]
    size: int
    channels: int

    @property
    def nbytes(self) -> int:
        """What all images take in memory, in bytes."""
        return len(self.paths) * self.channels * self.size**2

    def read(self, indices: Sequence[int]) -> Tensor:
        """Decodes the images at `indices`. Raises InputError that names a file which is no image."""
        pixels = torch.empty((len(indices), self.channels, self.size, self.size), dtype=torch.uint8)
        for position, index in enumerate(indices):
            pixels[position] = decode(self.paths[index], self.size, self.channels)
        return pixels

    def in_memory(self) -> MemoryImages:
        """All images, decoded once."""
        pixels = torch.empty((len(self), self.channels, self.size, self.size), dtype=torch.uint8)
        with ThreadPoolExecutor(THREADS, thread_name_prefix="nasplug-decode") as pool:
            decoded = pool.map(lambda path: decode(path, self.size, self.channels), self.paths)
            for position, image in enumerate(decoded):
                pixels[position] = image
        return MemoryImages(pixels, self.labels)


def decode(path: Path, size: int, channels: int) -> Tensor:
    """The image in `path` as uint8 (channels, size, size).

    It is turned upright, its shorter side is scaled to `size` with antialiasing, and its centre is cropped.
    Transparency is dropped; 16 bits are reduced to 8. Raises InputError for a damaged or unreadable file.
    """
    try:
        with Image.open(path) as image:
            return fit_image(image, size, channels)
    # Pillow's decoders raise these for damaged files, depending on the format and the place of the damage.
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise InputError(f"The image file {path} cannot be read ({error}); repair or remove it.") from error


def fit_image(image: Image.Image, size: int, channels: int) -> Tensor:
    """A Pillow image as uint8 (channels, size, size), as `decode` brings it to that form.

    Raises ValueError, or what else Pillow's decoders raise, if it cannot be used.
    """
    plain = _eight_bits(ImageOps.exif_transpose(image)).convert("L" if channels == 1 else "RGB")
    fitted = ImageOps.fit(plain, (size, size), method=Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(fitted, dtype=np.uint8)).reshape(size, size, channels)
    return pixels.permute(2, 0, 1)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Brings 16 bits to 8, and palettes to RGBA.

    Pillow's own conversion clips 16-bit images instead of scaling them, and warns about palettes with alpha.
    """
    if image.mode.startswith("I"):
        return Image.fromarray((np.array(image).astype(np.int64).clip(0, 65535) // 257).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, and 8 or 16 bits are needed")
    return image.convert("RGBA") if image.mode == "P" else image
