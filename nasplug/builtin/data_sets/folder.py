"""A user's own images: one folder per class."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import numpy as np

from nasplug.data.decoding import FileImages
from nasplug.errors import InputError
from nasplug.parts import DataSource, ImageData
from nasplug.values.options import option

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
VALIDATION_NAMES = ("val", "valid", "validation")


@attrs.frozen
class Folder(DataSource):
    """`--data folder:PATH`: PATH/CLASS/IMAGE, or PATH/train/CLASS/IMAGE with PATH/test/CLASS/IMAGE for the test.

    Classes are named after their folders and sorted. Hidden folders and files that are no images are ignored, and so is
    a validation folder beside train and test: validation images are taken from train.
    """

    size: int = option(32, "side to which images are scaled and cropped, in pixels", at_least=1)
    channels: int = option(3, "colour planes: 3, or 1 for grey", choices=(1, 3))
    flips: bool = option(True, "whether a mirrored image is the same thing")
    memory: int = option(2048, "images beyond this stay in their files while training, in MiB", at_least=0)

    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Lists the images and, if all of them fit into `memory`, decodes them."""
        if not location:
            raise InputError("Data set 'folder' needs a path, but none was given; use --data folder:PATH.")
        path = Path(os.path.expanduser(location))  # unlike Path's own, it leaves an unknown ~user unchanged
        train_folder, test_folder = _layout(path)
        classes = _classes(train_folder)
        train = self._list(train_folder, classes)
        test = None
        if test_folder is not None:
            if (found := _classes(test_folder)) != classes:
                differ = sorted(set(found) ^ set(classes))
                raise InputError(
                    f"{test_folder} must have the classes of {train_folder}, but they differ in "
                    f"{', '.join(differ[:5])}{' ...' if len(differ) > 5 else ''}; add or remove those folders."
                )
            test = self._list(test_folder, classes)
        fits = train.nbytes + (test.nbytes if test else 0) <= self.memory << 20
        return ImageData(
            name="folder",
            classes=classes,
            size=self.size,
            channels=self.channels,
            train=train.in_memory() if fits else train,
            test=test.in_memory() if test and fits else test,
            flips=self.flips,
            shift=self.size // 8,
        )

    def _list(self, folder: Path, classes: tuple[str, ...]) -> FileImages:
        paths: list[Path] = []
        labels: list[int] = []
        for label, name in enumerate(classes):
            images = sorted(path for path in (folder / name).iterdir() if path.suffix.lower() in SUFFIXES)
            images = [path for path in images if not path.name.startswith(".")]
            if not images:
                raise InputError(
                    f"Class folder {folder / name} holds no images ({', '.join(sorted(SUFFIXES))}); put some directly "
                    f"into it, or remove it."
                )
            paths += images
            labels += [label] * len(images)
        return FileImages(tuple(paths), np.array(labels, np.int64), self.size, self.channels)


def _layout(path: Path) -> tuple[Path, Path | None]:
    """The folder that holds the classes for training, and the one that holds those for the test, if any."""
    if not path.is_dir():
        raise InputError(f"There is no folder {path}; --data folder:PATH needs a folder with one folder per class.")
    train, test = path / "train", path / "test"
    # A folder `train` without folders in it is a class of that name.
    if _subfolders(train):
        held_out = [name for name in VALIDATION_NAMES if (path / name).is_dir()]
        if held_out and not test.is_dir():
            raise InputError(
                f"{path} has '{held_out[0]}' beside 'train', but no 'test'; name it 'test' to measure the finished "
                f"networks on it (validation images are drawn from 'train'; see data.validation)."
            )
        return train, test if test.is_dir() else None
    if _subfolders(test):
        raise InputError(f"{path} has class folders in 'test', but none in 'train'; add {train}/CLASS/IMAGE.")
    return path, None


def _classes(folder: Path) -> tuple[str, ...]:
    names = _subfolders(folder)
    if len(names) < 2:
        found = f"only '{names[0]}'" if names else "none"
        raise InputError(f"{folder} must have a folder for each of at least two classes, but it has {found}.")
    return names


def _subfolders(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        return ()
    return tuple(
        sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))
    )
