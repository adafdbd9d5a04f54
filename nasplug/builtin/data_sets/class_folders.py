"""Finds images that are sorted into a folder for each class, and keeps account of what is passed over."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
from PIL import Image

from nasplug.data.class_names import printable
from nasplug.data.decoding import image_formats
from nasplug.data.reading import list_some
from nasplug.errors import InputError

SPLITS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("val", "valid", "validation"),
}
"""What the folders of splits are called, in any case."""


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


@attrs.frozen
class Layout:
    """Where the folders of the classes are."""

    train: Path
    test: Path | None


def image_suffixes() -> frozenset[str]:
    """The suffixes, such as ".jpg", of the formats of images that the installed Pillow reads."""
    formats = image_formats()
    return frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in formats)


def find_layout(path: Path, passed_over: PassedOver) -> Layout:
    """Whether `path` holds the class folders themselves, or folders for training and test that hold them."""
    if not path.is_dir():
        raise InputError(
            f"There is no folder {printable(str(path))}; --data folder:PATH needs a folder with one folder per class."
        )
    found = {split: _find_split(path, names) for split, names in SPLITS.items()}
    train, test, held_out = found["train"], found["test"], found["validation"]
    # A folder `train` without folders in it is a class of that name.
    if train and list_folders(train):
        if held_out and test is None:
            raise InputError(
                f"{path} has '{held_out.name}' beside '{train.name}', but no 'test'; name it 'test' to measure the "
                f"finished networks on it (validation images are drawn from '{train.name}'; see data.validation)."
            )
        others = [path / name for name in list_folders(path, PassedOver()) if path / name not in (train, test)]
        passed_over.folders += others
        _count_loose_files(path, passed_over)
        return Layout(train, test)
    if test and list_folders(test):
        raise InputError(
            f"{path} has class folders in '{test.name}', but none in 'train'; add {path}/train/CLASS/IMAGE."
        )
    folders = [path / name for name in list_folders(path)]
    if folders and all(folder in (train, test, held_out) for folder in folders):
        raise InputError(
            f"{path} has {' and '.join(repr(folder.name) for folder in folders)}, but they hold no class folders; add "
            f"{folders[-1]}/CLASS/IMAGE."
        )
    return Layout(path, None)


def find_classes(folder: Path, passed_over: PassedOver) -> dict[str, Path]:
    """The class folders in `folder` by name, sorted; InputError for fewer than two, or for names that are equal."""
    classes: dict[str, Path] = {}
    for name in list_folders(folder, passed_over):
        composed = unicodedata.normalize("NFC", name)
        if composed in classes:
            raise InputError(
                f"{printable(str(folder))} has two class folders '{printable(composed)}', whose names differ only in "
                f"how their accents are encoded; put the images into one of them."
            )
        classes[composed] = folder / name
    if len(classes) < 2:
        found = f"only '{printable(next(iter(classes)))}'" if classes else "none"
        raise InputError(f"{folder} must have a folder for each of at least two classes, but it has {found}.")
    _count_loose_files(folder, passed_over)
    return dict(sorted(classes.items()))


def find_images(classes: Mapping[str, Path], passed_over: PassedOver) -> tuple[list[list[Path]], tuple[str, ...]]:
    """The images of each class, sorted, and notes about folders within class folders, whose images are read too."""
    suffixes = image_suffixes()
    images: list[list[Path]] = []
    nested: list[Path] = []
    direct = 0
    for folder in classes.values():
        found = sorted(_walk(folder, suffixes, passed_over))
        inner = [path for path in found if path.parent != folder]
        direct += len(found) - len(inner)
        if not found:
            raise InputError(
                f"Class folder {printable(str(folder))} holds no images ({', '.join(sorted(suffixes))}); put some "
                f"directly into it, or remove it."
            )
        images.append(found)
        nested += inner
    if direct == 0:
        raise InputError(
            f"The class folders {list_some([str(folder) for folder in classes.values()])} hold no images themselves, "
            f"only folders with images, such as {nested[0].parent}; name the folder whose folders are the classes, or "
            f"put images directly into them."
        )
    if not nested:
        return images, ()
    counted = "1 image" if len(nested) == 1 else f"{len(nested):,} images"
    return images, (
        f"{counted} in folders within class folders belong to the class (first: {printable(str(nested[0]))}).",
    )


def list_folders(folder: Path, passed_over: PassedOver | None = None) -> list[str]:
    """The names of the folders in `folder`, sorted, without hidden ones and those that begin with `__`."""
    names = []
    for entry in _scan(folder):
        if entry.is_dir():
            if not entry.name.startswith((".", "__")):
                names.append(entry.name)
            elif passed_over is not None:
                passed_over.folders.append(Path(entry.path))
    return names


def _find_split(path: Path, names: Sequence[str]) -> Path | None:
    found = [path / name for name in list_folders(path) if name.lower() in names]
    full = [folder for folder in found if list_folders(folder)]
    if len(full) > 1:
        raise InputError(f"{path} has {' and '.join(repr(folder.name) for folder in full)}; keep one of them.")
    return next(iter(full or found), None)


def _walk(folder: Path, suffixes: frozenset[str], passed_over: PassedOver) -> list[Path]:
    """The images in `folder` and in the folders within it; links to folders are not followed."""
    images: list[Path] = []
    for entry in _scan(folder):
        path = Path(entry.path)
        if _is_image(entry, suffixes):
            images.append(path)
        elif entry.is_dir():
            if entry.is_symlink() or entry.name.startswith((".", "__")):
                passed_over.folders.append(path)
            else:
                images += _walk(path, suffixes, passed_over)
        else:
            passed_over.files[_kind(entry)] += 1
    return images


def _count_loose_files(folder: Path, passed_over: PassedOver) -> None:
    """Counts the files that are in no class folder."""
    suffixes = image_suffixes()
    for entry in _scan(folder):
        if not entry.is_dir():
            kind = "images in no class folder" if _is_image(entry, suffixes) else _kind(entry)
            passed_over.files[kind] += 1


def _is_image(entry: os.DirEntry[str], suffixes: frozenset[str]) -> bool:
    # A folder and a link that leads nowhere count, so that they are named among the images that cannot be read.
    possible = entry.is_file() or entry.is_dir() or entry.is_symlink()
    return possible and not entry.name.startswith(".") and Path(entry.name).suffix.lower() in suffixes


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.name.startswith("."):
        return "hidden"
    if not entry.is_file():
        return "no regular files"
    return printable(Path(entry.name).suffix.lower()) or "without a suffix"


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"The folder {printable(str(folder))} cannot be read: {error.strerror}.") from error
