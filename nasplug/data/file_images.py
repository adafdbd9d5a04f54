"""Images that are files: read one by one as they are needed, or all at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from nasplug.data.decode_request import DecodedFile, DecodeRequest, decode_files, digest_content
from nasplug.data.decoding import crop, reason_unread
from nasplug.data.decoding_processes import DecodingProcesses
from nasplug.data.encoded_images import read_content
from nasplug.data.images import MemoryImages
from nasplug.data.pixel_cache import Form, PixelCache, Pixels
from nasplug.data.reading import UnreadableImages, all_of, read_in_chunks
from nasplug.parts import EncodedImage, Images
from nasplug.parts.random_boxes import RandomBoxes

REMARKS = {
    "transparent": "transparent in places, which became white",
    "frames": "of several frames or pages, of which the first was read",
    "deep": "of more than 8 bits per value, of which all images use {bits}; these were scaled to 8",
    "exif": "taken to be upright, because the orientation in the EXIF data cannot be read",
}
"""What is said of images that are not read as a user may expect, by a short name."""


@attrs.frozen(eq=False)
class FileImages(Images):
    """Images that stay in their files and are decoded when they are read, except those that `cache` has.

    Files are decoded in the thread that reads, or in `processes`.
    """

    paths: tuple[EncodedImage, ...]
    labels: npt.NDArray[np.int64]
    size: int
    channels: int
    bits: int | None = None
    """Bits that the files of more than 8 use, in the whole data set; None: there are none."""
    root: Path = Path()
    """The folder of the data set, from which files are named."""
    has_originals: bool = attrs.field(default=False, kw_only=True)
    cache: PixelCache = attrs.field(factory=lambda: PixelCache(0), kw_only=True)
    processes: DecodingProcesses | None = attrs.field(default=None, kw_only=True)
    _key: object = attrs.field(factory=object, init=False)
    """Tells images of this set from others in a cache that they share."""
    _remarks: dict[str, set[int]] = attrs.field(factory=lambda: defaultdict(set), init=False)
    _digests: dict[int, str] = attrs.field(factory=dict, init=False)

    @property
    def nbytes(self) -> int:
        """What all images take in memory, in bytes."""
        return len(self.paths) * self.channels * self.size**2

    def read(self, indices: Sequence[int]) -> Tensor:
        """The square in the middle of each image. Raises UnreadableImages, which names all that cannot be read."""
        images = self.cache.find(Form.SQUARE, [(self._key, index) for index in indices])
        for position, decoded in self._decode(indices, images):
            images[position] = decoded.pixels
            self.cache.keep(Form.SQUARE, (self._key, indices[position]), decoded.pixels)
        return self._join(images)

    def read_crops(self, indices: Sequence[int], boxes: RandomBoxes) -> Tensor:
        """A part of each original, scaled to `size`. Raises UnreadableImages, which names all that cannot be read."""
        originals = self.cache.find(Form.ORIGINAL, [(self._key, index) for index in indices])
        sizes = np.array([original.shape[:2] for original in originals.values()], np.int64).reshape(-1, 2)
        fitted, _ = boxes[list(originals)].fit(sizes)
        images = {
            position: crop(Image.fromarray(original), box, self.size)
            for (position, original), box in zip(originals.items(), fitted.tolist(), strict=True)
        }
        for position, decoded in self._decode(indices, originals, boxes):
            images[position] = decoded.pixels
            if decoded.original is not None:
                self.cache.keep(Form.ORIGINAL, (self._key, indices[position]), decoded.original)
        return self._join(images)

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
                    self._digests[index] = digest_content(read_content(self.paths[index]))
                except (OSError, ValueError) as error:
                    failures.append((str(self.paths[index]), reason_unread(error)))
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

    def _decode(
        self, indices: Sequence[int], found: Collection[int], boxes: RandomBoxes | None = None
    ) -> Iterator[tuple[int, DecodedFile]]:
        """Decodes the images at `indices` but for the positions in `found`, and takes note of what their files are.

        Yields each with its position, and raises UnreadableImages at the end.
        """
        positions = [position for position in range(len(indices)) if position not in found]
        wanted = [indices[position] for position in positions]
        request = DecodeRequest(
            files=tuple(self.paths[index] for index in wanted),
            size=self.size,
            channels=self.channels,
            bits=self.bits,
            digested=tuple(index in self._digests for index in wanted),
            boxes=None if boxes is None else boxes[positions],
            with_originals=boxes is not None and self.cache.has_room(Form.ORIGINAL),
        )
        files = decode_files(request) if self.processes is None else self.processes.decode(request)
        failures = []
        for position, index, decoded in zip(positions, wanted, files, strict=True):
            if isinstance(decoded, str):
                failures.append((str(self.paths[index]), decoded))
                continue
            if decoded.digest is not None:
                self._digests.setdefault(index, decoded.digest)
            for remark in decoded.remarks:
                self._remarks[remark].add(index)
            yield position, decoded
        if failures:
            raise UnreadableImages(failures, skippable=True)

    def _join(self, images: Mapping[int, Pixels]) -> Tensor:
        """Images of one size, by position, as one tensor."""
        pixels = np.empty((len(images), self.size, self.size, self.channels), np.uint8)
        for position, image in images.items():
            pixels[position] = image.reshape(pixels.shape[1:])
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


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


def _count(images: int) -> str:
    return "1 image" if images == 1 else f"{images:,} images"
