"""The table of the benchmark: every architecture's errors after 200 epochs, in place of training it.

A CSV file with a row for each architecture and the columns `arch_str`, and for each data set accuracies in per cent
such as `cifar10_valid_acc` and `cifar10_test_acc`. They are means over training runs at 16 channels and 5 cells per
stage; on CIFAR-10 the validation accuracy comes from training on half of the images, the test accuracy from all.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping

import attrs

from nasplug.builtin.nb201.genotype import parse_genotype
from nasplug.errors import InputError, quote
from nasplug.formats.limits import FormatError
from nasplug.formats.regular_file import decode
from nasplug.values import Genotype, ImageShape, KnownResult

SIZE = {"channels": 16, "cells": 5}
"""The size of the networks of the table, as `NasBench201.size` gives it."""
ARCHITECTURE = "arch_str"
"""The column of the architecture string."""


@attrs.frozen
class DataSet:
    """A data set of the benchmark."""

    name: str
    prefix: str
    """How its columns begin."""
    size: int
    classes: int

    def matches(self, name: str, shape: ImageShape) -> bool:
        """Whether a data set of this name and form of images is this one; case and hyphens do not matter."""
        form = (shape.channels, shape.size, shape.classes) == (3, self.size, self.classes)
        return form and _letters(name) == _letters(self.name)


DATA_SETS = (
    DataSet("CIFAR-10", "cifar10", size=32, classes=10),
    DataSet("CIFAR-100", "cifar100", size=32, classes=100),
    DataSet("ImageNet16-120", "imagenet16", size=16, classes=120),
)


def find_data_set(name: str, shape: ImageShape) -> DataSet:
    """The data set of the benchmark with this name and form of images.

    Raises InputError if there is none: errors on other images say nothing of these.
    """
    for data_set in DATA_SETS:
        if data_set.matches(name, shape):
            return data_set
    known = (f"{data_set.name} ({data_set.classes} classes, {data_set.size} pixels)" for data_set in DATA_SETS)
    raise InputError(
        f"it holds errors on {', '.join(known)}, but the data set is '{name}' with {shape.classes} classes of "
        f"{shape.size} pixels; leave --table out to train the networks."
    )


def read_table(content: bytes, data_set: DataSet) -> Mapping[Genotype, KnownResult]:
    """The errors of every architecture on one data set; InputError says what is wrong with the table."""
    columns = (f"{data_set.prefix}_valid_acc", f"{data_set.prefix}_test_acc")
    try:
        text = decode(content)
        rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        missing = [name for name in (ARCHITECTURE, *columns) if name not in (rows.fieldnames or ())]
        if missing:
            raise InputError(f"it lacks the column {', '.join(map(repr, missing))}")
        if repeated := [name for name in (ARCHITECTURE, *columns) if list(rows.fieldnames or ()).count(name) > 1]:
            raise InputError(f"it has the column '{repeated[0]}' twice")
        table = dict[Genotype, KnownResult]()
        for row in rows:
            try:
                if None in row:
                    raise InputError(f"it has more fields than the {len(rows.fieldnames or ())} columns")
                genotype = parse_genotype(row[ARCHITECTURE] or "")
                result = KnownResult(*(_read_error(row[name], name) for name in columns))
                if table.setdefault(genotype, result) != result:
                    raise InputError(f"{quote(row[ARCHITECTURE])} stands there a second time, with other accuracies")
            except InputError as error:
                raise InputError(f"line {rows.line_num}: {error}") from error
    except FormatError as error:
        raise InputError(f"it is not CSV ({error})") from error
    except csv.Error as error:
        raise InputError(f"it is not CSV ({error})") from error
    if not table:
        raise InputError("it has no architectures")
    return table


def _read_error(text: str | None, column: str) -> float:
    """The error, from 0 to 1, that an accuracy in per cent stands for."""
    try:
        accuracy = float(text or "")
    except ValueError:
        accuracy = math.nan
    if not 0 <= accuracy <= 100:
        raise InputError(f"'{column}' must be an accuracy from 0 to 100, but it is {quote(text)}.")
    return round(1 - accuracy / 100, 8)


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
