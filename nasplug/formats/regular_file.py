"""Files of text and of tables that a user names: whole, regular, and not too large."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from nasplug.errors import InputError, quote
from nasplug.formats.limits import LARGEST_FILE, FormatError


def find_kind(path: Path) -> str | None:
    """What is at `path`: "file", "folder", or in words what is neither; None if there is nothing.

    InputError if the system cannot say, for instance because the name is too long or links lead in a circle.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(f"{quote(path)} cannot be looked up: {error.strerror}; name another place.") from error
    except ValueError as error:  # a zero byte, or a letter that no name can have
        raise InputError(f"{quote(path)} cannot be the name of a file; name another one.") from error
    if stat.S_ISREG(mode):
        return "file"
    return "folder" if stat.S_ISDIR(mode) else "device or pipe"


def expand_home(path: str | Path) -> Path:
    """The path with ~ as the home directory; of a user who is unknown, ~NAME stays as it is.

    Raises InputError for a zero byte, which no path has.
    """
    try:
        return Path(os.path.expanduser(path))  # unlike Path's own, it leaves an unknown user alone
    except ValueError as error:
        raise InputError(f"{quote(path)} cannot be the name of a file; name another one.") from error


def check_file(path: Path, what: str) -> None:
    """Raises InputError, which calls the file `what`, unless there is a regular file at `path`."""
    reasons = {
        None: "No such file or directory; name one that is there",
        "folder": "Is a directory; name a file",
        "device or pipe": "Is a device or pipe; name a regular file, such as a copy of what it gives",
    }
    if (kind := find_kind(path)) != "file":
        raise InputError(f"The {what} {quote(path)} cannot be read: {reasons[kind]}.")


def read_file(path: Path, what: str, most: int = LARGEST_FILE) -> bytes:
    """The content of a regular file of at most `most` bytes; InputError, which calls it `what`, for anything else."""
    check_file(path, what)
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            content = b"" if size > most else stream.read(most + 1)  # some systems' own files say 0 and have more
    except OSError as error:
        raise InputError(f"The {what} {quote(path)} cannot be read: {error.strerror}.") from error
    if max(size, len(content)) > most:
        raise InputError(
            f"The {what} {quote(path)} cannot be read: it has {'more than ' if size <= most else ''}"
            f"{max(size, most):,} bytes, and at most {most:,} are read."
        )
    return content


def decode(content: bytes) -> str:
    """The text that these bytes are in UTF-8, without a byte order mark; FormatError if they are no such text."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"it is not text in UTF-8 ({error.reason} at byte {error.start})") from error
