"""Files to be decoded, as plain values that may go to another process, and what comes back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import attrs
import numpy as np

from nasplug.data.decoding import crop, decode_content, fit_square, reason_unread
from nasplug.data.encoded_images import read_content
from nasplug.data.pixel_cache import Pixels
from nasplug.parts import EncodedImage
from nasplug.parts.random_boxes import RandomBoxes

LARGEST_KEPT = 1 << 20
"""Bytes of the largest original that is worth its room in a cache; a photograph of a camera has 30 times as many."""


@attrs.frozen(eq=False)
class DecodeRequest:
    """Files that become images of one size."""

    files: tuple[EncodedImage, ...]
    size: int
    channels: int
    bits: int | None
    """As in `decode`."""
    digested: tuple[bool, ...]
    """Whether the digest of each file is known."""
    boxes: RandomBoxes | None = None
    """The part of each file that is wanted; None: the square in the middle."""
    with_originals: bool = False
    """Whether originals come along, if they are not too large to be kept."""

    def for_other_process(self) -> Self:
        """With the content of files that are no paths: the tables that hold them may be large."""
        return attrs.evolve(self, files=tuple(map(_take_out, self.files)))

    def split(self, count: int) -> Iterator[Self]:
        """Requests of at most `count` files each."""
        for start in range(0, len(self.files), count):
            part = slice(start, start + count)
            boxes = None if self.boxes is None else self.boxes[part]
            yield attrs.evolve(self, files=self.files[part], digested=self.digested[part], boxes=boxes)


@attrs.frozen
class _Content:
    """An image file that was read already."""

    content: bytes

    def read_bytes(self) -> bytes:
        return self.content


def _take_out(file: EncodedImage) -> EncodedImage:
    if isinstance(file, Path):
        return file
    try:
        return _Content(read_content(file))
    except (OSError, ValueError):  # which the reader of this file will meet again
        return file


@attrs.frozen(eq=False)
class DecodedFile:
    """What became of one file."""

    pixels: Pixels
    original: Pixels | None
    """Whole and upright; None: it was not asked for, or is too large to be kept."""
    remarks: tuple[str, ...]
    """Keys of `REMARKS`."""
    digest: str | None
    """Of its content; None: it was known."""


def decode_files(request: DecodeRequest) -> Iterator[DecodedFile | str]:
    """Decodes the files of a request, one after the other; of one that cannot be read, the reason."""
    for number, file in enumerate(request.files):
        try:
            content = read_content(file)
            digest = None if request.digested[number] else digest_content(content)
            image, remarks = decode_content(content, request.channels, request.bits)
            if request.boxes is None:
                pixels = fit_square(image, request.size)
            else:
                pixels = crop(image, request.boxes.fit_one(number, image.height, image.width), request.size)
            kept = request.with_originals and image.width * image.height * request.channels <= LARGEST_KEPT
            yield DecodedFile(pixels, np.array(image) if kept else None, tuple(remarks), digest)
        # Pillow's decoders raise all kinds for damaged files, depending on the format and the place of the damage.
        except Exception as error:
            yield reason_unread(error)


def digest_content(content: bytes) -> str:
    """A digest of a file, 16 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()[:16]
