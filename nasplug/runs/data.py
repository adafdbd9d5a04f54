"""The images of a run: looked at when it starts, recorded in `data.json`, and compared whenever it is opened again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import attrs

from nasplug.compose import Composition
from nasplug.data import DataRecord, Splits
from nasplug.data.class_names import printable
from nasplug.data.near_duplicates import LEAST_SIDE
from nasplug.data.overview import Overview, look
from nasplug.data.record import SetRecord
from nasplug.data.splits import Indices
from nasplug.errors import InputError
from nasplug.formats.regular_file import expand_home
from nasplug.parts import ImageData
from nasplug.plugins.program_objects import is_program_object
from nasplug.store.run_folder import RunFolder, check_object, read_json, write_checked_json

UNRECORDED = (
    "This run was started by a version that recorded nothing of its images, so whether they are still the same could "
    "only be told by their number."
)


MOST_LOOKED_AT_CLOSELY = 20_000
"""Images among which a run looks for nearly equal ones before it starts; of so many that takes some five seconds."""


@attrs.frozen
class Place:
    """Where the images were when the run was started; paths are absolute, and None where there is no path."""

    location: str
    root: str
    absolute_location: str | None
    absolute_root: str | None

    @classmethod
    def of(cls, composition: Composition) -> Place:
        """The place that a recipe names, seen from the present directory."""
        location, root = composition.recipe.location, composition.recipe.data.root
        return cls(
            location=location,
            root=root,
            absolute_location=_absolute(location) if _is_path(composition, location) else None,
            absolute_root=_absolute(root) if root else None,
        )

    def alternatives(self, now: Place) -> list[tuple[str, str]]:
        """Locations and roots to look at: those recorded, then those `now`. A recipe may have been edited since."""
        if (self.location, self.root) != (now.location, now.root):
            return [(now.location, now.root)]
        recorded = (self.absolute_location or self.location, self.absolute_root or self.root)
        present = (now.absolute_location or now.location, now.absolute_root or now.root)
        return list(dict.fromkeys([recorded, present]))


def load_data(composition: Composition, location: str | None = None, root: str | None = None) -> ImageData:
    """The images that the recipe names, or those at another `location` or `root`.

    Raises InputError if there are none.
    """
    options = composition.recipe.data
    location = composition.recipe.location if location is None else location
    root = options.root if root is None else root
    return composition.source.load(location, expand_home(root) if root else None, options.download)


def record_choices(composition: Composition, data: ImageData) -> Composition:
    """`composition` with the options of its data set that were left to the images as `data` have them.

    So a recipe holds them, and a run that is resumed has them, whatever a later version would choose.
    """
    source: Any = composition.source  # an attrs class, as all parts are
    unset = [name for name in source.chosen_from_images if getattr(source, name) is None]
    if not unset:
        return composition
    chosen = {name: getattr(data, name) for name in unset}
    recipe = composition.recipe
    part = attrs.evolve(recipe.source, options={**recipe.source.options, **chosen})
    return attrs.evolve(composition, source=attrs.evolve(source, **chosen), recipe=attrs.evolve(recipe, source=part))


def look_at_data(data: ImageData, splits: Splits, folds: int) -> Overview:
    """Looks at every image of a new run that chooses by so many folds, or by the validation split if they are 0.

    Raises InputError that names those which cannot be read.
    """
    count = len(data.train) + (0 if data.test is None else len(data.test))
    return look(data, splits, with_thumbnails=count <= MOST_LOOKED_AT_CLOSELY, folds=folds)


def make_data_record(overview: Overview, *, closely: bool) -> DataRecord:
    """The images of a new run, and what is said of them; with `closely` also of nearly equal ones."""
    data = overview.data
    remarks = overview.remark(overview.find_duplicates(closely=closely))
    notes = [*overview.noticed, *remarks.contradictions, *remarks.notes]
    if not overview.has_thumbnails and data.dims == 2 and data.size >= LEAST_SIDE:
        notes.append(
            f"Nearly equal images were not looked for, because there are more than {MOST_LOOKED_AT_CLOSELY:,} images; "
            f"the command 'nasplug data' finds them."
        )
    return DataRecord(
        classes=data.classes,
        size=data.size,
        channels=data.channels,
        train=SetRecord.of(data.train, overview.train.pixels),
        test=None if data.test is None or overview.test is None else SetRecord.of(data.test, overview.test.pixels),
        mean=overview.mean,
        std=overview.std,
        notes=tuple(map(printable, notes)),
        leaks=tuple(map(printable, remarks.leaks)),
        skipped=tuple(map(printable, data.skipped)),
        task=data.task.fit(data.train.labels[overview.splits.train]),
        dims=data.dims,
        dtype=data.dtype,
    )


def write_data_record(folder: RunFolder, record: DataRecord, composition: Composition) -> None:
    """Writes `data.json`."""
    content = {"place": attrs.asdict(Place.of(composition)), **record.to_dict()}
    write_checked_json(folder.data, content)


def read_data_record(folder: RunFolder) -> DataRecord | None:
    """The record of the images of a run; None for a run of a version that kept none. InputError if it is damaged."""
    entries = _read_entries(folder)
    return None if entries is None else DataRecord.from_dict(entries)


def reload_data(
    folder: RunFolder, composition: Composition, only: Mapping[str, Indices] | None = None
) -> tuple[ImageData, DataRecord | None]:
    """The images that a run was started with, and their record; None for a run of a version that kept none.

    Raises InputError if there are none, or others, at the recorded place and at the one that the recipe names from
    here. With `only`, images are compared at these indices of "train" and "test".
    """
    entries = _read_entries(folder)
    if entries is None:
        return load_data(composition), None
    record = DataRecord.from_dict(entries)
    place = _read_place(folder, entries)
    refusals = []
    for location, root in place.alternatives(Place.of(composition)):
        try:
            data = load_data(composition, location, root)
        except InputError as error:
            refusals.append(InputError(f"{error} {_remedy(folder, composition)}"))
            continue
        difference = record.find_difference(data, only)
        if difference is None:
            return data, record
        refusals.append(
            _refuse(folder, composition, location if composition.source.location_is_path else root, difference)
        )
    raise refusals[0]


def check_count(folder: RunFolder, data: ImageData, splits: Splits) -> None:
    """Raises InputError if the splits of a run do not have as many images as there are: its images have changed."""
    divided = len(splits.train) + len(splits.validation) + (len(splits.test) if splits.test_from == "train" else 0)
    tests = len(splits.test) if splits.test_from == "test" else None
    found_tests = None if data.test is None else len(data.test)
    if (divided, tests) != (len(data.train), found_tests):
        before, now = divided + (tests or 0), len(data.train) + (found_tests or 0)
        raise InputError(
            f"The run '{folder.path}' divided {before:,} images, and data set '{data.name}' has {now:,} now; put back "
            f"the images as they were, or, if nothing was changed, go on with the version of nasplug that started the "
            f"run: this one may read other files of a folder."
        )


def _read_entries(folder: RunFolder) -> dict[str, Any] | None:
    if not folder.data.is_file():
        return None
    entries = read_json(folder.data)
    check_object(entries, folder.data, "restore it from a copy of the run")
    return entries


def _refuse(folder: RunFolder, composition: Composition, place: str, difference: str) -> InputError:
    found = f" in '{place}'" if place else ""
    return InputError(
        f"The images{found} are not those that the run '{folder.path}' was started with ({printable(difference)}). "
        f"{_remedy(folder, composition)}"
    )


def _remedy(folder: RunFolder, composition: Composition) -> str:
    remedy = "Put them back as they were"
    if is_program_object(composition.recipe.data.name):
        remedy = "Hand over the same ones, in the same order"
    elif composition.source.location_is_path:
        remedy += f", or write their new place as data.name into {folder.path / 'recipe.toml'}"
    return f"{remedy}, to go on; with other images, start a new run."


def _read_place(folder: RunFolder, entries: Mapping[str, Any]) -> Place:
    try:
        return Place(**entries["place"])
    except (KeyError, TypeError) as error:
        raise InputError(f"'{folder.data}' is damaged ({error!r}); restore it from a copy of the run.") from error


def _is_path(composition: Composition, location: str) -> bool:
    """Whether a location is the path of something; what can be a path may also be the name of a data set elsewhere."""
    return bool(location) and composition.source.location_is_path and expand_home(location).exists()


def _absolute(path: str) -> str:
    return os.path.abspath(expand_home(path))
