"""A user's own images: a table that names the files and their classes."""

from __future__ import annotations

import csv
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from nasplug.builtin.data_sets.class_folders import SPLITS
from nasplug.builtin.data_sets.image_files import ImageFiles
from nasplug.data.class_names import printable
from nasplug.data.reading import list_some
from nasplug.errors import InputError, reason
from nasplug.formats.regular_file import expand_home
from nasplug.parts import ImageData

DELIMITERS = ",;\t"
COLUMNS = ("path", "label", "split")
"""The columns that are read; the last one may be left out."""


@attrs.frozen
class Row:
    """One line of the table."""

    line: int
    file: Path
    label: str
    split: str
    """Each of `SPLITS`."""


@attrs.frozen
class CsvList(ImageFiles):
    """`--data csv:FILE`: a table with the columns `path` and `label`, and perhaps `split`, one line for each image.

    Columns are separated by commas, semicolons or tabs, and may stand in any order beside others. Relative paths start
    at the folder of the table. A split is train, test or validation; rows without one are training images. Validation
    images are drawn from the training images, so rows of the split validation are passed over, which is said.
    """

    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Reads the table and, if all images fit into `memory`, decodes them."""
        if not location:
            raise InputError("Data set 'csv' needs a table, but none was named; use --data csv:FILE.csv.")
        table = expand_home(location)
        rows = list(_read_rows(table))
        _refuse_missing(table, rows)
        notes = (*_note_held_out(rows), *_note_repeated(table, rows))
        kept = list({row.file: row for row in rows if row.split != "validation"}.values())
        splits = [[row for row in kept if row.split == split] for split in ("train", "test")]
        classes = _sort_classes({row.label for row in splits[0]})
        _check_classes(table, classes, splits[1])
        by_class = [_files_by_class(classes, split) for split in splits if split]
        folder = Path(os.path.commonpath([row.file.parent for row in kept]))
        return self.assemble("csv", classes, by_class, folder, notes)


def _read_rows(table: Path) -> Iterator[Row]:
    """The rows of a table; InputError if it cannot be read, lacks a column, or a row lacks a value."""
    splits = {name: split for split, names in SPLITS.items() for name in names}
    for line, values in _read_values(table):
        for column in ("path", "label"):
            if not values[column]:
                raise InputError(f"Line {line} of {printable(str(table))} has no {column}; fill it in, or remove it.")
        written = values["split"] or "train"
        if written.lower() not in splits:
            raise InputError(
                f"Line {line} of {printable(str(table))} names the split '{printable(written)}'; known: "
                f"{', '.join(sorted(splits))}."
            )
        file = Path(os.path.normpath(table.parent / values["path"]))
        yield Row(line, file, unicodedata.normalize("NFC", values["label"]), splits[written.lower()])


def _read_values(table: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The number of each line that is not empty, and its values by column, without spaces around them."""
    if not table.is_file():
        raise InputError(f"There is no file {printable(str(table))}; --data csv:FILE needs a table of images.")
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(DELIMITERS, key=head.count), strict=True)
            header = [name.strip().lower() for name in next(reader, [])]
            places = _find_columns(table, header)
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(header):
                    raise InputError(
                        f"Line {reader.line_num} of {printable(str(table))} has {len(cells)} values, but the header "
                        f"names {len(header)} columns; quote values that hold the separator."
                    )
                yield reader.line_num, {name: cells[place].strip() if place >= 0 else "" for name, place in places}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{printable(str(table))} cannot be read as a table ({reason(error)}); it must be text in UTF-8, with the "
            f"columns path and label."
        ) from error


def _find_columns(table: Path, header: Sequence[str]) -> list[tuple[str, int]]:
    """Where each of COLUMNS stands; -1: nowhere."""
    for name in COLUMNS:
        if header.count(name) > 1 or (name != "split" and name not in header):
            found = ", ".join(map(printable, header)) if any(header) else "none"
            raise InputError(
                f"{printable(str(table))} must have one column '{name}' in its first line, but its columns are: "
                f"{found}; known: path, label, and perhaps split."
            )
    return [(name, header.index(name) if name in header else -1) for name in COLUMNS]


def _refuse_missing(table: Path, rows: Sequence[Row]) -> None:
    """Raises InputError for a table without training images, and for one that names files that do not exist."""
    if not any(row.split == "train" for row in rows):
        raise InputError(f"{printable(str(table))} names no training images; add lines with a path and a label.")
    missing = [f"{printable(str(row.file))} (line {row.line})" for row in rows if not row.file.is_file()]
    if missing:
        raise InputError(
            f"{printable(str(table))} names {len(missing)} of {len(rows)} images that are no files: "
            f"{list_some(missing)}; relative paths start at {printable(str(table.parent))}."
        )


def _check_classes(table: Path, classes: Sequence[str], test: Sequence[Row]) -> None:
    if len(classes) < 2:
        raise InputError(
            f"{printable(str(table))} must name training images of at least two classes, but it has only "
            f"'{printable(classes[0])}'."
        )
    known = set(classes)
    unknown = next((row for row in test if row.label not in known), None)
    if unknown is not None:
        raise InputError(
            f"Line {unknown.line} of {printable(str(table))} is a test image of the class "
            f"'{printable(unknown.label)}', of which there are no training images; add some, or remove it."
        )


def _files_by_class(classes: Sequence[str], rows: Sequence[Row]) -> list[list[Path]]:
    files: dict[str, list[Path]] = {name: [] for name in classes}
    for row in rows:
        files[row.label].append(row.file)
    return list(files.values())


def _sort_classes(labels: set[str]) -> tuple[str, ...]:
    """By number if all are numbers, else by name."""
    numbers = all(label.isascii() and label.isdigit() for label in labels)
    return tuple(sorted(labels, key=lambda label: (int(label) if numbers else 0, label)))


def _note_held_out(rows: Sequence[Row]) -> Iterator[str]:
    held_out = sum(row.split == "validation" for row in rows)
    if held_out:
        yield (
            f"{held_out:,} images of the split validation were passed over: validation images are drawn from the "
            f"training images (data.validation)."
        )


def _note_repeated(table: Path, rows: Sequence[Row]) -> Iterator[str]:
    """A note if rows say the same twice; InputError if they contradict each other."""
    first: dict[Path, Row] = {}
    for row in rows:
        before = first.setdefault(row.file, row)
        if (before.label, before.split) != (row.label, row.split):
            raise InputError(
                f"Lines {before.line} and {row.line} of {printable(str(table))} name the same image with another "
                f"label or split ({printable(before.label)}, {before.split}; {printable(row.label)}, {row.split}); "
                f"remove one of them."
            )
    counts = Counter(row.file for row in rows)
    repeated = [printable(str(file)) for file, count in counts.items() if count > 1]
    if repeated:
        yield f"{len(repeated):,} images are named more than once and were taken once: {list_some(repeated)}."
