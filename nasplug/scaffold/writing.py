"""Puts a package on disk, whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from nasplug.errors import InputError


def new_folder(asked: Path) -> Path:
    """The folder that a user asks for: ~ is the home directory, and what .. takes back is not made.

    Raises InputError if it leads nowhere.
    """
    try:
        folder = asked.expanduser()
        whole = folder.resolve()
    except (OSError, RuntimeError) as error:  # no working directory; a loop of links, or nobody's home
        reason = error.strerror if isinstance(error, OSError) else str(error).rstrip(".")
        raise InputError(f"'{asked}' leads nowhere: {reason}; name another place.") from error
    return whole if ".." in folder.parts else folder


def write_package(folder: Path, files: Mapping[str, str]) -> None:
    """Writes these files into a new or an empty folder.

    Raises InputError, and leaves everything as it was, if the folder holds something or cannot be written.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise InputError(
            f"'{folder}' exists already{'' if folder.is_file() else ' and is not empty'}; name a new folder."
        )
    try:
        home = next(each for each in folder.absolute().parents if each.exists())
        with tempfile.TemporaryDirectory(dir=home, prefix=".nasplug-new-") as draft:
            for path, text in files.items():
                place = Path(draft, path)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text, encoding="utf-8")
            folder.mkdir(parents=True, exist_ok=True)
            for entry in Path(draft).iterdir():
                shutil.move(entry, folder / entry.name)
    except OSError as error:
        raise InputError(f"'{folder}' cannot be written: {error.strerror}; name another place.") from error
