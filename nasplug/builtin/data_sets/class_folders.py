"""Finds images that are sorted into a folder for each class, and keeps account of what is passed over."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path

import attrs

from nasplug.builtin.data_sets.split_names import find_split
from nasplug.data.class_names import printable
from nasplug.data.image_folders import PassedOver, count_loose_files, image_suffixes, list_folders, list_images
from nasplug.data.reading import list_some
from nasplug.errors import InputError


@attrs.frozen
class Layout:
    """Where the folders of the classes are."""

    train: Path
    validation: Path | None = None
    test: Path | None = None

    @property
    def folders(self) -> dict[str, Path]:
        """By split, those that there are."""
        return {split: folder for split, folder in attrs.asdict(self).items() if folder is not None}


def find_layout(path: Path, passed_over: PassedOver, *, own_validation: bool) -> Layout:
    """Whether `path` holds the class folders themselves, or a folder for each split that holds them.

    Without `own_validation`, a folder of validation images is passed over.
    """
    if not path.is_dir():
        raise InputError(
            f"There is no folder {printable(str(path))}; --data folder:PATH needs a folder with one folder per class."
        )
    found = _find_splits(path)
    train, test = found.get("train"), found.get("test")
    # A folder `train` without folders in it is a class of that name.
    if train and list_folders(train):
        layout = Layout(train, found.get("validation") if own_validation else None, test)
        read = layout.folders.values()
        passed_over.folders += [path / name for name in list_folders(path, PassedOver()) if path / name not in read]
        count_loose_files(path, passed_over)
        return layout
    if test and list_folders(test):
        raise InputError(
            f"{path} has class folders in '{test.name}', but none in 'train'; add {path}/train/CLASS/IMAGE."
        )
    folders = [path / name for name in list_folders(path)]
    if folders and all(folder in found.values() for folder in folders):
        raise InputError(
            f"{path} has {' and '.join(repr(folder.name) for folder in folders)}, but they hold no class folders; add "
            f"{folders[-1]}/CLASS/IMAGE."
        )
    return Layout(path)


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
    count_loose_files(folder, passed_over)
    return dict(sorted(classes.items()))


def find_images(classes: Mapping[str, Path], passed_over: PassedOver) -> tuple[list[list[Path]], tuple[str, ...]]:
    """The images of each class, sorted, and notes about folders within class folders, whose images are read too."""
    images: list[list[Path]] = []
    nested: list[Path] = []
    direct = 0
    for folder in classes.values():
        found = list_images(folder, passed_over)
        inner = [path for path in found if path.parent != folder]
        direct += len(found) - len(inner)
        if not found:
            raise InputError(
                f"Class folder {printable(str(folder))} holds no images ({', '.join(sorted(image_suffixes()))}); put "
                f"some directly into it, or remove it."
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


def _find_splits(path: Path) -> dict[str, Path]:
    """The folders in `path` that are called as splits are, by split; of several, the one that holds folders."""
    found: dict[str, list[Path]] = {}
    for name in list_folders(path):
        if split := find_split(name):
            found.setdefault(split, []).append(path / name)
    chosen = {}
    for split, folders in found.items():
        full = [folder for folder in folders if list_folders(folder)]
        if len(full) > 1:
            raise InputError(f"{path} has {' and '.join(repr(folder.name) for folder in full)}; keep one of them.")
        chosen[split] = (full or folders)[0]
    return chosen
