"""Reads image files: those on a disk, and those within something else, such as a table."""

from __future__ import annotations

import io
import stat
from pathlib import Path
from typing import IO

from nasplug.parts import EncodedImage

MAX_BYTES = 1 << 30
"""Largest size of an image file: more than uncompressed images of the most pixels that are read take."""


def read_content(image: EncodedImage) -> bytes:
    """The bytes of an image file. Raises OSError, and ValueError for devices, pipes and more than MAX_BYTES."""
    if isinstance(image, Path):
        _refuse_endless(image)
    content = image.read_bytes()
    _refuse_large(len(content))
    return content


def open_content(image: EncodedImage) -> IO[bytes]:
    """The bytes of an image file as a stream, for a reader that needs a part of them. Raises as `read_content` does."""
    if not isinstance(image, Path):
        return io.BytesIO(read_content(image))
    _refuse_endless(image)
    return image.open("rb")


def _refuse_endless(path: Path) -> None:
    """Refuses what to read would take forever; folders are refused by the system."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise ValueError("it is a device or pipe, not a regular file")
    _refuse_large(status.st_size)


def _refuse_large(size: int) -> None:
    if size > MAX_BYTES:
        raise ValueError(f"it has {size:,} bytes, and at most {MAX_BYTES:,} are read")
