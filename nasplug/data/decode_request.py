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

    def split(self, count: int) -> Iterator[Self]:
        """Requests of at most `count` files each, for other processes: images that are no files come as their bytes."""
        for start in range(0, len(self.files), count):
            part = slice(start, start + count)
            boxes = None if self.boxes is None else self.boxes[part]
            files = tuple(file if isinstance(file, Path) else Content.of(file) for file in self.files[part])
            yield attrs.evolve(self, files=files, digested=self.digested[part], boxes=boxes)


@attrs.frozen
class Content:
    """The content of an image that another process cannot read itself, or why there is none."""

    content: bytes | ValueError

    @classmethod
    def of(cls, image: EncodedImage) -> Self:
        """Reads it."""
        try:
            return cls(read_content(image))
        except Exception as error:  # whatever holds the image
            return cls(ValueError(reason_unread(error)))

    def read_bytes(self) -> bytes:
        """The content; ValueError if it could not be read."""
        if isinstance(self.content, ValueError):
            raise self.content
        return self.content


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
