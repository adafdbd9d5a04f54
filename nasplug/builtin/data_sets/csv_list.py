"""A user's own images: a table that names the files and their classes."""

from __future__ import annotations

import csv
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from nasplug.builtin.data_sets.image_files import ImageFiles, group_by_class, sort_classes
from nasplug.builtin.data_sets.split_names import SPLITS, find_split
from nasplug.data.class_names import printable
from nasplug.data.reading import NAMED_FILES, list_some
from nasplug.errors import InputError, reason
from nasplug.formats.regular_file import expand_home, find_kind
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
    at the folder of the table. A split is train, validation or test, as the folders of `folder` are called; rows
    without one are training images.
    """

    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Reads the table and, if all images fit into `memory`, decodes them."""
        if not location:
            raise InputError("Data set 'csv' needs a table, but none was named; use --data csv:FILE.csv.")
        table = expand_home(location)
        rows = list(_read_rows(table))
        if not any(row.split == "train" for row in rows):
            raise InputError(f"{printable(str(table))} names no training images; add lines with a path and a label.")
        passed_over = [] if self.own_validation else list(_note_passed_over(rows))
        if not self.own_validation:  # first of all: nothing is asked of what is passed over
            rows = [row for row in rows if row.split != "validation"]
        notes = [*_note_repeated(table, rows), *passed_over]
        missing = _find_missing(rows)
        if missing and not self.skip_damaged:
            raise _missing_refusal(table, rows, missing)
        classes = sort_classes(row.label for row in rows if row.split == "train")
        _check_classes(table, classes, [row for row in rows if row.split != "train"])
        present = [row for row in {row.file: row for row in rows}.values() if str(row.file) not in missing]
        by_class = {
            split: group_by_class(classes, [(row.file, row.label) for row in present if row.split == split])
            for split in SPLITS
            if any(row.split == split for row in rows)
        }
        folder = Path(os.path.commonpath([row.file.parent for row in rows]))
        skipped = {printable(name): f"{reason}, line {line}" for name, (line, reason) in missing.items()}
        return self.assemble("csv", classes, by_class, folder, tuple(notes), skipped)


def _read_rows(table: Path) -> Iterator[Row]:
    """The rows of a table; InputError if it cannot be read, lacks a column, or a row lacks a value."""
    for line, values in _read_values(table):
        for column in ("path", "label"):
            if not values[column]:
                raise InputError(f"Line {line} of {printable(str(table))} has no {column}; fill it in, or remove it.")
        written = values["split"] or "train"
        split = find_split(written)
        if split is None:
            known = sorted(name for names in SPLITS.values() for name in names)
            raise InputError(
                f"Line {line} of {printable(str(table))} names the split '{printable(written)}'; known: "
                f"{', '.join(known)}."
            )
        # Absolute, so that the folder that all rows have in common is the same from whatever folder a run is resumed.
        file = Path(os.path.abspath(table.parent / values["path"]))
        yield Row(line, file, unicodedata.normalize("NFC", values["label"]), split)


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


def _find_missing(rows: Sequence[Row]) -> dict[str, tuple[int, str]]:
    """The paths that are no files, each with its line and what is there."""
    kinds = {None: "no such file", "folder": "a folder", "device or pipe": "a device or pipe"}
    found = ((row, find_kind(row.file)) for row in rows)
    return {str(row.file): (row.line, kinds[kind]) for row, kind in found if kind != "file"}


def _missing_refusal(table: Path, rows: Sequence[Row], missing: Mapping[str, tuple[int, str]]) -> InputError:
    listed = [f"{printable(name)} (line {line})" for name, (line, _) in missing.items()]
    return InputError(
        f"{printable(str(table))} names {len(missing)} of {len(rows)} images that are no files: "
        f"{list_some(listed, NAMED_FILES)}; relative paths start at {printable(str(table.parent))}. "
        f"data.skip_damaged=true leaves them out."
    )


def _check_classes(table: Path, classes: Sequence[str], others: Sequence[Row]) -> None:
    """Raises InputError for less than two classes, and for one of `others`, which are not trained on, of another."""
    if len(classes) < 2:
        raise InputError(
            f"{printable(str(table))} must name training images of at least two classes, but it has only "
            f"'{printable(classes[0])}'."
        )
    known = set(classes)
    unknown = next((row for row in others if row.label not in known), None)
    if unknown is not None:
        raise InputError(
            f"Line {unknown.line} of {printable(str(table))} is a {unknown.split} image of the class "
            f"'{printable(unknown.label)}', of which there are no training images; add some, or remove it."
        )


def _note_passed_over(rows: Sequence[Row]) -> Iterator[str]:
    held_out = sum(row.split == "validation" for row in rows)
    if held_out:
        yield (
            f"{held_out:,} images of the split validation were passed over (data.own_validation=false); validation "
            f"images are drawn from the training images."
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
