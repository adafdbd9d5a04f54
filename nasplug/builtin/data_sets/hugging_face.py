"""Images of the library `datasets` of Hugging Face: saved or exported to a path, or named as on the Hub."""

from __future__ import annotations

import importlib
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from nasplug.builtin.data_sets.image_files import ImageFiles, group_by_class, sort_classes
from nasplug.builtin.data_sets.split_names import find_split
from nasplug.data.encoded_images import read_content
from nasplug.data.reading import list_some
from nasplug.errors import InputError, quote, reason
from nasplug.formats.regular_file import expand_home
from nasplug.parts import ImageData
from nasplug.values.options import option

LABELS = ("label", "labels", "class", "fine_label")
"""What columns of labels are called that do not say by their type that they are such."""
TABLES = {".parquet": "parquet", ".arrow": "arrow"}
"""Files of tables, by suffix, and which loader of the library reads them."""
UNLABELLED = (None, -1)
"""What the library has in place of a label that is not known."""


@attrs.frozen
class Cell:
    """An image in a table."""

    rows: Any = attrs.field(repr=False)
    """The rows of the split, with the column of images as the library stores it."""
    column: str
    index: int
    name: str

    def __str__(self) -> str:
        return self.name

    def read_bytes(self) -> bytes:
        """The bytes that the table has, or those of the file that it names."""
        value = self.rows[self.index][self.column]
        if value is None:
            raise ValueError("its cell is empty")
        content: bytes | None = value["bytes"]
        return read_content(Path(value["path"])) if content is None else content


Labelled = tuple[Cell, str | None]
"""An image and the name of its class; None: not known."""


@attrs.frozen
class HuggingFace(ImageFiles):
    """`--data hf:PATH` or `hf:NAME`, read by the package datasets (`pip install 'nasplug[hf]'`).

    PATH holds what `save_to_disk` has written, a Parquet file, or a folder that `load_dataset` reads. NAME is looked up
    on the Hub with --download, and otherwise among what was fetched before. Columns are found by their types: images,
    and class labels (or a column called label, labels, class or fine_label); name them where several are possible.
    """

    image: str = option("", "column of the images; empty: the only one")
    label: str = option("", "column of the labels; empty: the only one")
    config: str = option("", "configuration of a data set that has several; empty: its only one")

    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Loads the tables and, if all images fit into `memory`, decodes them."""
        if not location:
            raise InputError("Data set 'hf' needs a path or a name, but none was given; use --data hf:PATH.")
        path = expand_home(location)
        loaded = self._load_tables(location, path, root, download)
        found, notes = _assign_splits(location, loaded, own_validation=self.own_validation)
        features = loaded[found["train"]].features
        image = _choose(location, "image", self.image, features, _holds_images, ())
        label = _choose(location, "label", self.label, features, _is_class_label, LABELS)
        splits = {
            split: _read_split(location, name, loaded[name], image, label, path.absolute())
            for split, name in found.items()
        }
        for split, labelled in list(splits.items()):
            if split != "train" and all(name is None for _, name in labelled):
                notes.append(f"The split '{found[split]}' has no labels, and was passed over.")
                del splits[split]
        names = {name for _, name in splits["train"] if name is not None}
        classes = tuple(getattr(features[label], "names", None) or sort_classes(names))
        for split, labelled in splits.items():
            _check_labels(location, found[split], labelled, classes)
        by_class = {
            split: group_by_class(classes, ((cell, str(name)) for cell, name in labelled))
            for split, labelled in splits.items()
        }
        return self.assemble("hf", classes, by_class, path, tuple(notes))

    def _load_tables(self, location: str, path: Path, root: Path | None, download: bool) -> Mapping[str, Any]:
        """The tables of a data set by the names of their splits."""
        library = _import_library()
        whole, cache = str(path.absolute()), None if root is None else str(root)
        is_saved = any((path / name).is_file() for name in ("dataset_dict.json", "state.json"))
        if self.config and (is_saved or path.is_file()):
            raise InputError(f"{quote(path)} has one configuration, but data.config={self.config}; leave it out.")
        if path.is_file() and path.suffix not in TABLES:
            raise InputError(
                f"{quote(path)} is no table of images; name a file {' or '.join(TABLES)}, or a folder of a data set."
            )
        try:
            with _settings(library, offline=not download):
                if is_saved:
                    loaded = library.load_from_disk(whole)
                elif path.is_file():
                    loaded = library.load_dataset(TABLES[path.suffix], data_files=whole, cache_dir=cache)
                else:
                    name = whole if path.exists() else location
                    loaded = library.load_dataset(name, self.config or None, cache_dir=cache)
        except Exception as error:  # whatever the library and the loaders of its formats trip over
            way_on = "check it, or save it anew with save_to_disk"
            if not path.exists():
                way_on = "name a path that is there" if download else "name a path that is there, or add --download"
            raise InputError(f"The data set {quote(location)} cannot be loaded ({reason(error)}); {way_on}.") from error
        return loaded if isinstance(loaded, dict) else {"train": loaded}


def _assign_splits(
    location: str, loaded: Mapping[str, Any], *, own_validation: bool
) -> tuple[dict[str, str], list[str]]:
    """For "train", "validation" and "test", what the data set calls them, and a note on what is passed over.

    Raises InputError for a data set with two of one split, or without one for training.
    """
    found: dict[str, str] = {}
    passed_over = []
    for name in loaded:
        split = find_split(name)
        if split is None or (split == "validation" and not own_validation):
            passed_over.append(f"'{name}'")
        elif split in found:
            raise InputError(
                f"The data set {quote(location)} has the splits '{found[split]}' and '{name}'; keep one of them."
            )
        else:
            found[split] = name
    if "train" not in found:
        raise InputError(
            f"The data set {quote(location)} needs a split for training, but its splits are: "
            f"{', '.join(map(str, loaded)) or 'none'}; rename one of them to 'train'."
        )
    return found, [f"Passed over in '{location}': splits: {list_some(passed_over)}."] if passed_over else []


def _choose(
    location: str,
    option_name: str,
    named: str,
    features: Mapping[str, Any],
    is_of_type: Callable[[Any], bool],
    usual: Sequence[str],
) -> str:
    """The column that is `named`, or else the only one of a type, or with a usual name; InputError if that fails."""
    listed = ", ".join(f"{column} ({_describe(feature)})" for column, feature in features.items())
    if named:
        if named not in features:
            raise InputError(
                f"data.{option_name}={named} names no column of {quote(location)}; its columns are: {listed}."
            )
        return named
    typed = [column for column, feature in features.items() if is_of_type(feature)]
    found = typed or [column for column in usual if column in features]
    if len(found) != 1:
        several = f"{' and '.join(found)} may be it" if found else "no column looks like it"
        raise InputError(
            f"Which column of {quote(location)} has the {option_name} is not clear: {several}; name it with "
            f"data.{option_name}=COLUMN; its columns are: {listed}."
        )
    return found[0]


def _holds_images(feature: Any) -> bool:
    """Whether a column has images: by its type, or because it has bytes and a path as tables of other programs do."""
    return type(feature).__name__ == "Image" or (isinstance(feature, dict) and {"bytes", "path"} <= set(feature))


def _is_class_label(feature: Any) -> bool:
    return type(feature).__name__ == "ClassLabel"


def _describe(feature: Any) -> str:
    return str(getattr(feature, "dtype", "")) if type(feature).__name__ == "Value" else type(feature).__name__


def _read_split(location: str, name: str, table: Any, image: str, label: str, folder: Path) -> list[Labelled]:
    """The images and labels of a split. Raises InputError for columns that cannot be read as such."""
    for column in (image, label):
        if column not in table.features:
            raise InputError(f"The split '{name}' of {quote(location)} has no column {quote(column)}, unlike others.")
    classes = getattr(table.features[label], "names", None)
    if not classes and type(table.features[label]).__name__ != "Value":
        raise InputError(f"The column {quote(label)} of {quote(location)} has no single labels; name another one.")
    try:
        rows = table.select_columns([image]).cast_column(image, _import_library().Image(decode=False))
    except Exception as error:  # of the libraries that hold the table
        raise InputError(
            f"The column {quote(image)} of {quote(location)} holds no images ({reason(error)}); name another one."
        ) from error
    cells = [
        Cell(rows, image, row, f"{name}[{row}]{path}") for row, path in enumerate(_list_paths(rows, image, folder))
    ]
    values = table[label][:]
    if classes:
        labels = _name_labels(f"the split '{name}' of {quote(location)}", label, values, classes)
    else:
        labels = [None if value is None else unicodedata.normalize("NFC", str(value).strip()) for value in values]
    return list(zip(cells, labels, strict=True))


def _name_labels(split: str, label: str, values: Sequence[int | None], classes: Sequence[str]) -> list[str | None]:
    """The class that each value of a column of class labels stands for; None: not known.

    Raises InputError for values of no class: the library writes them and reads them without a look.
    """
    names: dict[int | None, str] = dict(enumerate(classes))
    wrong = [row for row, value in enumerate(values) if value not in UNLABELLED and value not in names]
    if wrong:
        raise InputError(
            f"{len(wrong):,} of {len(values):,} images of {split} have a value in the column {quote(label)} that is of "
            f"no class (first: row {wrong[0]}, {quote(values[wrong[0]])}); {len(classes)} classes take labels from 0 "
            f"to {len(classes) - 1}, and -1 says that there is none."
        )
    return [names.get(value) for value in values]


def _list_paths(rows: Any, image: str, folder: Path) -> Iterator[str]:
    """What to add to the name of each image: its path, if the table has one, from `folder` if it is in there."""
    for path in (path for chunk in rows.data.column(image).chunks for path in chunk.field("path").to_pylist()):
        inner = path and (str(Path(path).relative_to(folder)) if Path(path).is_relative_to(folder) else path)
        yield f" {inner}" if inner else ""


def _check_labels(location: str, split: str, labelled: Sequence[Labelled], classes: Sequence[str]) -> None:
    """Raises InputError for two classes of one name or less than two, and for images without a class or of another."""
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise InputError(
            f"{quote(location)} must have at least two different classes, but it has {quote(list(classes))}."
        )
    known = set(classes)
    wrong = [cell for cell, name in labelled if name not in known]
    if wrong:
        raise InputError(
            f"{len(wrong):,} of {len(labelled):,} images of the split '{split}' of {quote(location)} have no label, or "
            f"one that no training image has (first: {wrong[0]}); remove them, or add training images."
        )


@contextmanager
def _settings(library: Any, *, offline: bool) -> Iterator[None]:
    """While nothing may be fetched, the library is told so, and shows no progress of what it does within moments."""
    if not offline:
        yield
        return
    hub = importlib.import_module("huggingface_hub.constants")
    flags = [(library.config, "HF_DATASETS_OFFLINE"), (library.config, "HF_HUB_OFFLINE"), (hub, "HF_HUB_OFFLINE")]
    before = [getattr(place, name) for place, name in flags]
    shows_progress = library.is_progress_bar_enabled()
    library.disable_progress_bars()
    try:
        for place, name in flags:
            setattr(place, name, True)
        yield
    finally:
        for (place, name), value in zip(flags, before, strict=True):
            setattr(place, name, value)
        if shows_progress:
            library.enable_progress_bars()


def _import_library() -> Any:
    try:
        return importlib.import_module("datasets")
    except ImportError as error:
        raise InputError(
            f"Data sets of Hugging Face need the package datasets, which cannot be imported ({reason(error)}): "
            f"pip install 'nasplug[hf]'."
        ) from error
