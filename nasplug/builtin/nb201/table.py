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

from nasplug.builtin.nb201.notation import parse
from nasplug.errors import InputError
from nasplug.values import Genotype, ImageShape

SIZE = {"channels": 16, "cells": 5}
"""The size of the networks of the table."""
STRING = "arch_str"


@attrs.frozen
class DataSet:
    """A data set of the benchmark."""

    name: str
    prefix: str
    """How its columns begin."""
    size: int
    classes: int

    def fits(self, name: str, shape: ImageShape) -> bool:
        """Whether images of this name and form are its own; hyphens do not matter."""
        form = (shape.channels, shape.size, shape.classes) == (3, self.size, self.classes)
        return form and _plain(name) == _plain(self.name)


DATA_SETS = (
    DataSet("CIFAR-10", "cifar10", size=32, classes=10),
    DataSet("CIFAR-100", "cifar100", size=32, classes=100),
    DataSet("ImageNet16-120", "imagenet16", size=16, classes=120),
)


@attrs.frozen
class Errors:
    """The errors of one architecture, from 0 to 1."""

    validation: float
    test: float


def find_data_set(name: str, shape: ImageShape) -> DataSet:
    """The data set of the benchmark with this name and form of images.

    Raises InputError if there is none: errors on other images say nothing of these.
    """
    for each in DATA_SETS:
        if each.fits(name, shape):
            return each
    known = (f"{one.name} ({one.classes} classes, {one.size} pixels)" for one in DATA_SETS)
    raise InputError(
        f"The table holds errors on {', '.join(known)}, but the data set is '{name}' with {shape.classes} classes of "
        f"{shape.size} pixels; leave --table out to train the networks."
    )


def read_table(content: bytes, data: DataSet) -> Mapping[Genotype, Errors]:
    """The errors of every architecture on one data set; InputError says what is wrong with the table."""
    columns = (f"{data.prefix}_valid_acc", f"{data.prefix}_test_acc")
    try:
        rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        missing = [name for name in (STRING, *columns) if name not in (rows.fieldnames or ())]
        if missing:
            raise InputError(f"it lacks the column {', '.join(map(repr, missing))}")
        table = dict[Genotype, Errors]()
        for row in rows:
            try:
                genotype, errors = parse(row[STRING] or ""), Errors(*(_error(row[name], name) for name in columns))
                if table.setdefault(genotype, errors) != errors:
                    raise InputError(f"'{row[STRING]}' stands there a second time, with other accuracies")
            except InputError as error:
                raise InputError(f"line {rows.line_num}: {error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"it is not CSV ({error})") from error
    if not table:
        raise InputError("it has no architectures")
    return table


def _error(text: str | None, column: str) -> float:
    try:
        accuracy = float(text or "")
    except ValueError:
        accuracy = math.nan
    if not 0 <= accuracy <= 100:
        raise InputError(f"'{column}' must be an accuracy from 0 to 100, but it is {text!r:.40}.")
    return round(1 - accuracy / 100, 8)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
