"""A user's own images: one folder per class."""

from __future__ import annotations

from pathlib import Path

import attrs

from nasplug.builtin.data_sets.class_folders import (
    PassedOver,
    find_classes,
    find_images,
    find_layout,
)
from nasplug.builtin.data_sets.image_files import ImageFiles
from nasplug.data.class_names import printable
from nasplug.errors import InputError
from nasplug.formats.regular_file import expand_home
from nasplug.parts import ImageData


@attrs.frozen
class Folder(ImageFiles):
    """`--data folder:PATH`: PATH/CLASS/IMAGE, or PATH/train/CLASS/IMAGE with PATH/test/CLASS/IMAGE for the test.

    Classes are named after their folders and sorted. Images are all files in a format of pixels that Pillow reads, also
    those in folders within a class folder. What is passed over is said: other files, hidden folders, folders whose
    names begin with `__`, and folders beside train and test, where validation images are taken from train.
    """

    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Lists the images and, if all of them fit into `memory`, decodes them."""
        if not location:
            raise InputError("Data set 'folder' needs a path, but none was given; use --data folder:PATH.")
        path = expand_home(location)
        passed_over = PassedOver()
        layout = find_layout(path, passed_over)
        folders = [layout.train] if layout.test is None else [layout.train, layout.test]
        classes = [find_classes(folder, passed_over) for folder in folders]
        names = tuple(classes[0])
        if tuple(classes[-1]) != names:
            differ = [printable(name) for name in sorted(set(classes[0]) ^ set(classes[1]))]
            raise InputError(
                f"{layout.test} must have the classes of {layout.train}, but they differ in "
                f"{', '.join(differ[:5])}{' ...' if len(differ) > 5 else ''}; add or remove those folders."
            )
        found = [find_images(each, passed_over) for each in classes]
        notes = (
            *passed_over.note(path),
            *dict.fromkeys(note for _, notes in found for note in notes),
        )
        return self.assemble("folder", names, [images for images, _ in found], path, notes)
