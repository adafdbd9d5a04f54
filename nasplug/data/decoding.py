"""How an image file of any size and mode becomes pixels: of data sets, and of images to classify."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import IO

import attrs
import numpy as np
import numpy.typing as npt
import torch
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin, UnidentifiedImageError
from torch import Tensor

from nasplug.data.encoded_images import open_content, read_content
from nasplug.data.pixels import lay_on_white
from nasplug.data.reading import UnreadableImages
from nasplug.errors import one_line
from nasplug.parts import EncodedImage

THREADS = 4
"""Files whose headers are looked at at a time."""
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

NO_PIXELS = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF"})
"""Formats known to Pillow that are drawings, videos or containers. To read EPS, Pillow runs Ghostscript."""

USUAL = frozenset({"JPEG", "PNG"})
"""Formats of most files. No other format begins with their first bytes, so trying them first changes no image."""

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


def decode(file: EncodedImage, size: int, channels: int, bits: int | None = None) -> Tensor:
    """The image in `file` as uint8 (channels, size, size).

    It is turned upright, its shorter side is scaled to `size` with antialiasing, and its centre is cropped.
    Transparent places become white; of several frames the first is taken. Values of more than 8 bits are divided by the
    largest number of `bits` bits; with None, which is for single files, only those that use 16 bits are read, since
    nothing tells how bright others are meant to be. Raises InputError for a damaged or unreadable file.
    """
    try:
        return to_pixels(fit_square(decode_content(read_content(file), channels, bits)[0], size))
    except Exception as error:
        raise UnreadableImages([(str(file), reason_unread(error))]) from error


def read_header(file: EncodedImage) -> ImageHeader:
    """The header of an image file that can be decoded."""
    with open_content(file) as stream, _open(stream) as image:
        width, height = _stored_size(image)
        if _read_orientation(image) in SIDEWAYS:
            width, height = height, width
        return ImageHeader(width, height, image.mode, str(image.format))


def fit_image(image: Image.Image, size: int, channels: int, bits: int | None) -> Tensor:
    """A Pillow image as uint8 (channels, size, size), as `decode` brings a file to that form.

    Raises ValueError, or what else Pillow's decoders raise, if it cannot be used.
    """
    return to_pixels(fit_square(_make_upright(image, channels, bits)[0], size))


@cache
def image_formats() -> tuple[str, ...]:
    """The formats of pixels that the installed Pillow reads, in the order in which they are tried: the usual first."""
    Image.init()
    return tuple(sorted(set(Image.OPEN) - NO_PIXELS, key=lambda name: (name not in USUAL, name)))


@attrs.frozen
class InspectedFiles:
    """What the files of a data set say of their pixels before they are decoded."""

    bits: int | None
    """The bits that the values of all files of more than 8 use; None if there are no such files.

    All of them are scaled by this one number, so that equal values stay equal.
    """
    shorter_sides: tuple[int, ...]
    """Of the images that can be read, in pixels."""


def inspect_files(files: Iterable[EncodedImage]) -> InspectedFiles:
    """Looks into all files of a data set. Those that cannot be read are left to `decode`."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="nasplug-header") as pool:
        found = [seen for seen in pool.map(_inspect, files) if seen is not None]
    return InspectedFiles(
        max((bits for bits, _ in found if bits is not None), default=None), tuple(side for _, side in found)
    )


def _inspect(file: EncodedImage) -> tuple[int | None, int] | None:
    """The bits that a file of more than 8 uses, and its shorter side; None if it cannot be read."""
    try:
        with open_content(file) as stream, _open(stream) as image:
            return _used_bits(image), min(image.size)
    except Exception:
        return None


def _used_bits(image: Image.Image) -> int | None:
    if _is_deep(image):
        return max(int(np.array(image).max()).bit_length(), 8)
    if _is_cut_to_8_bits(image):
        return 8 + int(np.array(image).max()).bit_length()
    return None


def decode_content(content: bytes, channels: int, bits: int | None) -> tuple[Image.Image, list[str]]:
    """A whole image file, upright, of mode L or RGB, and what is remarkable in it, as keys of `REMARKS`.

    Raises ValueError, or what else Pillow's decoders raise, if it cannot be used; `reason_unread` has the words.
    """
    with _open(io.BytesIO(content)) as image:
        return _make_upright(image, channels, bits)


def fit_square(image: Image.Image, size: int) -> npt.NDArray[np.uint8]:
    """The square in the middle of an image, uint8 (size, size) or (size, size, 3)."""
    return np.array(ImageOps.fit(image, (size, size), method=Image.Resampling.BILINEAR), dtype=np.uint8)


def crop(image: Image.Image, box: Sequence[int], size: int) -> npt.NDArray[np.uint8]:
    """The part of an image inside a box (top, left, height, width), scaled to `size`: (size, size) or (size, size, 3).

    With antialiasing, as torchvision's `resized_crop` does it with images of Pillow.
    """
    top, left, height, width = box
    part = image.crop((left, top, left + width, top + height))
    return np.array(part.resize((size, size), Image.Resampling.BILINEAR), dtype=np.uint8)


def to_pixels(image: npt.NDArray[np.uint8]) -> Tensor:
    """An image (H, W) or (H, W, C) as a tensor (C, H, W)."""
    return torch.from_numpy(image.reshape(*image.shape[:2], -1)).permute(2, 0, 1)


def _make_upright(image: Image.Image, channels: int, bits: int | None) -> tuple[Image.Image, list[str]]:
    """A whole image, upright, of mode L or RGB, and keys of `REMARKS`."""
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
    return plain.convert("L" if channels == 1 else "RGB"), remarks


def _open(stream: IO[bytes]) -> Image.Image:
    """Reads the header of an image file; ValueError for one of more than MAX_PIXELS pixels."""
    with _without_warnings():
        image = Image.open(stream, formats=image_formats())
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"it has {image.width} x {image.height} pixels, and at most {MAX_PIXELS:,} are read")
    return image


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """Width and height before it is turned upright; of a TIFF, Pillow itself may say those afterwards."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return image.size
    return int(tags[TiffImagePlugin.IMAGEWIDTH]), int(tags[TiffImagePlugin.IMAGELENGTH])


def _has_frames(image: Image.Image) -> bool:
    """Whether there are more images in a file; MPO has a smaller copy or another view behind a photograph."""
    if image.format in ("JPEG", "MPO"):
        return False
    with _without_warnings():
        return bool(getattr(image, "is_animated", False))


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


def reason_unread(error: Exception) -> str:
    """Why a file cannot be read, as a part of a sentence."""
    if isinstance(error, UnidentifiedImageError):  # its own text names the stream, not the file
        return "it is empty, damaged or no image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # The text of others, such as KeyError, says little without their name.
    plain = isinstance(error, OSError | ValueError | SyntaxError | Image.DecompressionBombError)
    return str(error) if plain and str(error) else one_line(error)
