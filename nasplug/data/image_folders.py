"""Finds the images in a folder, and keeps account of what is passed over."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Literal

import attrs
from PIL import Image

from nasplug.data.class_names import printable
from nasplug.data.decoding import image_formats
from nasplug.data.reading import list_some
from nasplug.errors import InputError


@attrs.define
class PassedOver:
    """What was found beside the images and not read."""

    files: Counter[str] = attrs.field(factory=Counter)
    """Number of files by kind."""
    folders: list[Path] = attrs.field(factory=list)

    def note(self, root: Path) -> tuple[str, ...]:
        """A sentence about it, if there is anything."""
        files = [f"{count:,} {kind}" for kind, count in sorted(self.files.items())]
        folders = [f"'{printable(folder.relative_to(root).as_posix())}'" for folder in self.folders]
        parts = [f"files: {list_some(files)}"] if files else []
        parts += [f"folders: {list_some(folders)}"] if folders else []
        return (f"Passed over in '{printable(str(root))}': {'; '.join(parts)}.",) if parts else ()


def image_suffixes() -> frozenset[str]:
    """The suffixes, such as ".jpg", of the formats of images that the installed Pillow reads."""
    formats = image_formats()
    return frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in formats)


def list_folders(folder: Path, passed_over: PassedOver | None = None) -> list[str]:
    """The names of the folders in `folder`, sorted, without hidden ones and those that begin with `__`."""
    names = []
    for entry in _scan(folder):
        if _is(entry, "folder"):
            if not entry.name.startswith((".", "__")):
                names.append(entry.name)
            elif passed_over is not None:
                passed_over.folders.append(Path(entry.path))
    return names


def list_images(folder: Path, passed_over: PassedOver) -> list[Path]:
    """The images in `folder` and in the folders within it, sorted; links to folders are not followed."""
    return sorted(_walk(folder, image_suffixes(), passed_over))


def count_loose_files(folder: Path, passed_over: PassedOver) -> None:
    """Counts the files that lie in `folder` itself."""
    suffixes = image_suffixes()
    for entry in _scan(folder):
        if not _is(entry, "folder"):
            kind = "images in no class folder" if _is_image(entry, suffixes) else _kind(entry)
            passed_over.files[kind] += 1


def _walk(folder: Path, suffixes: frozenset[str], passed_over: PassedOver) -> list[Path]:
    images: list[Path] = []
    for entry in _scan(folder):
        path = Path(entry.path)
        if _is_image(entry, suffixes):
            images.append(path)
        elif _is(entry, "folder"):
            if entry.is_symlink() or entry.name.startswith((".", "__")):
                passed_over.folders.append(path)
            else:
                images += _walk(path, suffixes, passed_over)
        else:
            passed_over.files[_kind(entry)] += 1
    return images


def _is_image(entry: os.DirEntry[str], suffixes: frozenset[str]) -> bool:
    # A folder and a link that leads nowhere count, so that they are named among the images that cannot be read.
    possible = entry.is_symlink() or _is(entry, "file") or _is(entry, "folder")
    return possible and not entry.name.startswith(".") and Path(entry.name).suffix.lower() in suffixes


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.name.startswith("."):
        return "hidden"
    if not _is(entry, "file"):
        return "no regular files"
    return printable(Path(entry.name).suffix.lower()) or "without a suffix"


def _is(entry: os.DirEntry[str], kind: Literal["file", "folder"]) -> bool:
    try:
        return entry.is_file() if kind == "file" else entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"The folder {printable(str(folder))} cannot be read: {error.strerror}.") from error
