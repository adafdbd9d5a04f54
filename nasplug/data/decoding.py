"""Image files of any size and mode as square uint8 images of one size: those of `folder`, and those to classify."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import IO

import attrs
import numpy as np
import numpy.typing as npt
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from nasplug.data.encoded_images import open_content, read_content
from nasplug.data.images import MemoryImages
from nasplug.data.pixels import lay_on_white
from nasplug.data.reading import UnreadableImages, all_of, read_in_chunks
from nasplug.errors import one_line
from nasplug.parts import EncodedImage, Images

THREADS = 4
"""Files whose depth is looked at at a time."""
MAX_PIXELS = 89_478_485
"""Largest number of pixels of an image file: a quarter of a GiB as RGB, the number from which Pillow warns."""
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns an image upright, by its EXIF orientation."""
SIDEWAYS = frozenset({5, 6, 7, 8})
"""The orientations of images whose width becomes their height."""
REMARKS = {
    "transparent": "transparent in places, which became white",
    "frames": "of several frames or pages, of which the first was read",
    "deep": "of more than 8 bits per value, of which all images use {bits}; these were scaled to 8",
    "exif": "taken to be upright, because the orientation in the EXIF data cannot be read",
}
"""What is said of images that are not read as a user may expect, by a short name."""

NO_PIXELS = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF"})
"""Formats known to Pillow that are drawings, videos or containers. To read EPS, Pillow runs Ghostscript."""

_opening = Lock()


@attrs.frozen
class ImageHeader:
    """What the header of an image file says."""

    width: int
    """Of the upright image, in pixels."""
    height: int
    mode: str
    """As Pillow calls it, such as "RGB" and "L"."""
    format: str
    """As Pillow calls it, such as "JPEG"."""


@attrs.frozen(eq=False)
class FileImages(Images):
    """Images that stay in their files and are decoded each time they are read."""

    paths: tuple[EncodedImage, ...]
    labels: npt.NDArray[np.int64]
    size: int
    channels: int
    bits: int | None = None
    """Bits that the files of more than 8 use, in the whole data set; None: there are none."""
    root: Path = Path()
    """The folder of the data set, from which files are named."""
    _remarks: dict[str, set[int]] = attrs.field(factory=lambda: defaultdict(set), init=False)
    _digests: dict[int, str] = attrs.field(factory=dict, init=False)

    @property
    def nbytes(self) -> int:
        """What all images take in memory, in bytes."""
        return len(self.paths) * self.channels * self.size**2

    def read(self, indices: Sequence[int]) -> Tensor:
        """Decodes the images at `indices`. Raises UnreadableImages, which names all that cannot be read."""
        pixels = torch.empty((len(indices), self.channels, self.size, self.size), dtype=torch.uint8)
        failures = []
        for position, index in enumerate(indices):
            try:
                content = read_content(self.paths[index])
                self._digests.setdefault(index, _digest(content))
                pixels[position], remarks = _decode(content, self.size, self.channels, self.bits)
                for remark in remarks:
                    self._remarks[remark].add(index)
            # Pillow's decoders raise all kinds for damaged files, depending on the format and the place of the damage.
            except Exception as error:
                failures.append((str(self.paths[index]), _reason(error)))
        if failures:
            raise UnreadableImages(failures, skippable=True)
        return pixels

    @property
    def names(self) -> tuple[str, ...]:
        """Their paths within the folder of the data set, or what they are called that are no files."""
        return tuple(
            path.relative_to(self.root).as_posix() if isinstance(path, Path) else str(path) for path in self.paths
        )

    @property
    def files(self) -> tuple[EncodedImage, ...]:
        """Their files."""
        return self.paths

    def digests(self, indices: Sequence[int]) -> list[str]:
        """Digests of the content of the files at `indices`, which are read but not decoded."""
        failures = []
        for index in indices:
            if index not in self._digests:
                try:
                    self._digests[index] = _digest(read_content(self.paths[index]))
                except (OSError, ValueError) as error:
                    failures.append((str(self.paths[index]), _reason(error)))
        if failures:
            raise UnreadableImages(failures)
        return [self._digests[index] for index in indices]

    @property
    def notes(self) -> tuple[str, ...]:
        """What was remarkable in the files that have been read."""
        names = self.names
        return tuple(
            f"{_count(len(found))} {'is' if len(found) == 1 else 'are'} {text.format(bits=self.bits)} (first: "
            f"{names[min(found)]})."
            for remark, text in REMARKS.items()
            if (found := self._remarks.get(remark))
        )

    def in_memory(self) -> DecodedImages:
        """All images, decoded once. Raises UnreadableImages, which names all that cannot be read."""
        pixels = torch.empty((len(self), self.channels, self.size, self.size), dtype=torch.uint8)
        start = 0
        for chunk in read_in_chunks(self, all_of(self)):
            pixels[start : start + len(chunk)] = chunk
            start += len(chunk)
        return DecodedImages(pixels, self)


class DecodedImages(MemoryImages):
    """Images that were read from files as a whole."""

    def __init__(self, pixels: Tensor, files: FileImages) -> None:
        super().__init__(pixels, files.labels)
        self._files = files

    @property
    def names(self) -> tuple[str, ...]:
        """The paths of their files."""
        return self._files.names

    @property
    def files(self) -> tuple[EncodedImage, ...]:
        """Their files."""
        return self._files.paths

    def digests(self, indices: Sequence[int]) -> list[str]:
        """Digests of their files, as they were when they were decoded."""
        return self._files.digests(indices)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was remarkable in the files."""
        return self._files.notes


def decode(file: EncodedImage, size: int, channels: int, bits: int | None = None) -> Tensor:
    """The image in `file` as uint8 (channels, size, size).

    It is turned upright, its shorter side is scaled to `size` with antialiasing, and its centre is cropped.
    Transparent places become white; of several frames the first is taken. Values of more than 8 bits are divided by the
    largest number of `bits` bits; with None, which is for single files, only those that use 16 bits are read, since
    nothing tells how bright others are meant to be. Raises InputError for a damaged or unreadable file.
    """
    try:
        return _decode(read_content(file), size, channels, bits)[0]
    except Exception as error:
        raise UnreadableImages([(str(file), _reason(error))]) from error


def read_header(file: EncodedImage) -> ImageHeader:
    """The header of an image file that can be decoded."""
    with open_content(file) as stream, _open(stream) as image:
        turned = _read_orientation(image) in SIDEWAYS
        width, height = (image.height, image.width) if turned else (image.width, image.height)
        return ImageHeader(width, height, image.mode, str(image.format))


def fit_image(image: Image.Image, size: int, channels: int, bits: int | None) -> Tensor:
    """A Pillow image as uint8 (channels, size, size), as `decode` brings a file to that form.

    Raises ValueError, or what else Pillow's decoders raise, if it cannot be used.
    """
    return _fit(image, size, channels, bits)[0]


@cache
def image_formats() -> tuple[str, ...]:
    """The formats of pixels that the installed Pillow reads, such as "JPEG"."""
    Image.init()
    return tuple(sorted(set(Image.OPEN) - NO_PIXELS))


def find_bits(files: Iterable[EncodedImage]) -> int | None:
    """The bits that the values of a whole data set use in files of more than 8 bits; None if there are no such files.

    All of them are scaled by this one number, so that equal values stay equal. Files that cannot be read are left to
    `decode`.
    """
    with ThreadPoolExecutor(THREADS, thread_name_prefix="nasplug-depth") as pool:
        return max((bits for bits in pool.map(_used_bits, files) if bits is not None), default=None)


def _used_bits(file: EncodedImage) -> int | None:
    try:
        with open_content(file) as stream, _open(stream) as image:
            if _is_deep(image):
                return max(int(np.array(image).max()).bit_length(), 8)
            if _is_cut_to_8_bits(image):
                return 8 + int(np.array(image).max()).bit_length()
    except Exception:
        return None
    return None


def _decode(content: bytes, size: int, channels: int, bits: int | None) -> tuple[Tensor, list[str]]:
    """The pixels of an image file, uint8 (channels, size, size), and keys of REMARKS."""
    with _open(io.BytesIO(content)) as image:
        return _fit(image, size, channels, bits)


def _fit(image: Image.Image, size: int, channels: int, bits: int | None) -> tuple[Tensor, list[str]]:
    """The pixels of an image, uint8 (channels, size, size), and keys of REMARKS."""
    remarks = ["frames"] if _has_frames(image) else []
    if _is_cut_to_8_bits(image) and bits is not None and bits < 16:
        raise ValueError(
            f"it has 16 bits per colour, the images use {bits} of them, and Pillow reads the upper 8; convert all "
            f"of them to 8 bits"
        )
    image.load()
    orientation = _read_orientation(image)
    if orientation is None:
        remarks.append("exif")
    if _is_deep(image):
        plain, transparent = _scale_to_8_bits(image, bits)
        remarks += ["deep", "transparent"] if transparent else ["deep"]
    elif image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, and whole numbers of 8 or 16 bits are needed")
    else:
        plain, transparent = lay_on_white(image)
        remarks += ["transparent"] if transparent else []
    upright = None if orientation is None else UPRIGHT.get(orientation)
    plain = plain if upright is None else plain.transpose(upright)
    plain = plain.convert("L" if channels == 1 else "RGB")
    fitted = ImageOps.fit(plain, (size, size), method=Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(fitted, dtype=np.uint8)).reshape(size, size, channels)
    return pixels.permute(2, 0, 1), remarks


def _open(stream: IO[bytes]) -> Image.Image:
    """Reads the header of an image file; ValueError for one of more than MAX_PIXELS pixels."""
    with _without_warnings():
        image = Image.open(stream, formats=image_formats())
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"it has {image.width} x {image.height} pixels, and at most {MAX_PIXELS:,} are read")
    return image


def _has_frames(image: Image.Image) -> bool:
    """Whether there are more images in a file; MPO has a smaller copy or another view behind a photograph."""
    with _without_warnings():
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))


def _read_orientation(image: Image.Image) -> int | None:
    """The orientation that EXIF or XMP data give, 1 if they give none; None if they cannot be read."""
    try:
        with _without_warnings():
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # whatever the parsers trip over
        return None
    return orientation if isinstance(orientation, int) else None


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Silences Pillow, which warns of large images and of odd metadata.

    The lock keeps threads from restoring each other's filters of warnings.
    """
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _is_deep(image: Image.Image) -> bool:
    """Whether the values of a grey image may need more than 8 bits."""
    return image.mode.startswith("I")


def _is_cut_to_8_bits(image: Image.Image) -> bool:
    """Whether Pillow keeps the upper 8 of 16 bits of each colour, as it does for all but grey images."""
    modes = [tile[3][0] if isinstance(tile[3], tuple) else tile[3] for tile in getattr(image, "tile", [])]
    return not _is_deep(image) and any(isinstance(mode, str) and ";16" in mode for mode in modes)


def _scale_to_8_bits(image: Image.Image, bits: int | None) -> tuple[Image.Image, bool]:
    """Divides values by the largest of `bits` bits; Pillow's own conversion clips them.

    Where the value is that which stands for transparency, it becomes white; whether this is so anywhere.
    """
    values = np.array(image).astype(np.int64)
    low, high = int(values.min()), int(values.max())
    if low < 0:
        raise ValueError(f"its values go from {low} to {high}, and negative ones have no meaning; shift them")
    if bits is None and high.bit_length() != 16:
        raise ValueError(
            f"its values reach {high}, which does not tell how many bits of white there are, and it may become black; "
            f"convert it to 8 bits"
        )
    if high >= 1 << (bits or 16):
        raise ValueError(f"its values reach {high}, and those of the training images have {bits} bits")
    transparent = values == image.info.get("transparency", -1)
    scaled = np.where(transparent, 255, values * 255 // ((1 << (bits or 16)) - 1))
    return Image.fromarray(scaled.astype(np.uint8)), bool(transparent.any())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _reason(error: Exception) -> str:
    """Why a file cannot be read, as a part of a sentence."""
    if isinstance(error, UnidentifiedImageError):  # its own text names the stream, not the file
        return "it is empty, damaged or no image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # The text of others, such as KeyError, says little without their name.
    plain = isinstance(error, OSError | ValueError | SyntaxError | Image.DecompressionBombError)
    return str(error) if plain and str(error) else one_line(error)


def _count(images: int) -> str:
    return "1 image" if images == 1 else f"{images:,} images"
