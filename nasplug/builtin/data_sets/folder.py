"""A user's own images: one folder per class."""

from __future__ import annotations

from pathlib import Path

import attrs

from nasplug.builtin.data_sets.class_folders import find_classes, find_images, find_layout
from nasplug.builtin.data_sets.image_files import ImageFiles
from nasplug.data.class_names import printable
from nasplug.data.image_folders import PassedOver
from nasplug.errors import InputError
from nasplug.formats.regular_file import expand_home
from nasplug.parts import ImageData


@attrs.frozen
class Folder(ImageFiles):
    """`--data folder:PATH`: PATH/CLASS/IMAGE, or PATH/SPLIT/CLASS/IMAGE.

    A SPLIT is train, validation or test, however usually spelled (`training`, `val`, `Test_set`); train must be there.
    Classes are named after their folders and sorted. Images are all files in a format of pixels that Pillow reads, also
    those in folders within a class folder. What is passed over is said: other files, hidden folders, folders whose
    names begin with `__`, and other folders beside those of the splits.
    """

    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Lists the images and, if all of them fit into `memory`, decodes them."""
        if not location:
            raise InputError("Data set 'folder' needs a path, but none was given; use --data folder:PATH.")
        path = expand_home(location)
        passed_over = PassedOver()
        layout = find_layout(path, passed_over, own_validation=self.own_validation)
        classes = {split: find_classes(folder, passed_over) for split, folder in layout.folders.items()}
        names = tuple(classes["train"])
        for split, folder in layout.folders.items():
            if differ := [printable(name) for name in sorted(set(names) ^ set(classes[split]))]:
                passing = " (data.own_validation=false passes it over)" if split == "validation" else ""
                raise InputError(
                    f"{folder} must have the classes of {layout.train}, but they differ in "
                    f"{', '.join(differ[:5])}{' ...' if len(differ) > 5 else ''}; add or remove those folders{passing}."
                )
        found = {split: find_images(folders, passed_over) for split, folders in classes.items()}
        notes = (
            *passed_over.note(path),
            *dict.fromkeys(note for _, notes in found.values() for note in notes),
        )
        return self.assemble("folder", names, {split: images for split, (images, _) in found.items()}, path, notes)
