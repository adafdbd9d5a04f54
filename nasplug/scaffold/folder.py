"""Writes a package to disk, completely or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from nasplug.errors import InputError, quote


def new_folder(asked: Path) -> Path:
    """The folder that a user names, with ~ as the home directory. Folders that a later .. leaves are not created.

    Raises InputError for a path that cannot be resolved.
    """
    try:
        folder = asked.expanduser()
        resolved = folder.resolve()
    # No working directory; a loop of links, or an unknown user's home; a zero byte.
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).rstrip(".")
        raise InputError(f"{quote(asked)} leads nowhere: {reason}; name another place.") from error
    return resolved if ".." in folder.parts else folder


def write_package(folder: Path, files: Mapping[str, str]) -> None:
    """Writes `files` (text by path) into a new or an empty folder.

    Raises InputError, and changes nothing, if the folder is not empty or cannot be written.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise InputError(
            f"{quote(folder)} exists already{'' if folder.is_file() else ' and is not empty'}; name a new folder."
        )
    try:
        parent = next(parent for parent in folder.absolute().parents if parent.exists())
        with tempfile.TemporaryDirectory(dir=parent, prefix=".nasplug-new-") as draft:
            for path, text in files.items():
                file = Path(draft, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            folder.mkdir(parents=True, exist_ok=True)
            for entry in Path(draft).iterdir():
                shutil.move(entry, folder / entry.name)
    except OSError as error:
        raise InputError(f"{quote(folder)} cannot be written: {error.strerror}; name another place.") from error
