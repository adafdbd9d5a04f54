"""Files that are written as a whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from nasplug.errors import RunFailure


def write_atomically(path: Path, *content: bytes | memoryview) -> None:
    """Replaces the content of `path` by these parts; if interrupted, the file has the old content or the new one.

    Symbolic links are not followed: one in the place of the file, or of its draft, is replaced by a file.

    Raises RunFailure if the content cannot be written.
    """
    draft = path.with_name(f"{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)  # what an interrupted write left, or a link
        write_to_disk(draft, *content)
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise RunFailure(
            f"'{path}' cannot be written: {error.strerror}; what it held before is still there."
        ) from error


def write_to_disk(path: Path, *content: bytes | memoryview) -> None:
    """Writes a new file, and returns when the disk has it. Raises OSError if that fails or there is one already."""
    with path.open("xb") as stream:
        stream.writelines(content)
        stream.flush()
        os.fsync(stream.fileno())
