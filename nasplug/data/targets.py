"""Targets with several columns: labels that an image has or has not, and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nasplug.errors import InputError
from nasplug.parts import MultiLabel, Regression, Task
from nasplug.parts.classification import CLASSIFICATION
from nasplug.parts.task import Targets


def read_columns(values: npt.NDArray[Any], what: str) -> Targets:
    """Targets (N, outputs) in the form that their task has: whole numbers as labels, others as numbers.

    Raises InputError, in which `what` names them, for whole numbers other than 0 and 1, and for other numbers that are
    nothing but 0 and 1, of which nobody could tell what they mean, or too large for float32.
    """
    kind = values.dtype.kind
    if values.ndim != 2 or 0 in values.shape or kind not in "biuf":
        raise InputError(
            f"{what} with several columns must be whole numbers for labels or floating-point ones for a regression, "
            f"(N, outputs), but they are {values.dtype} {values.shape}."
        )
    if kind == "f":
        if np.isin(values, (0, 1)).all():
            raise InputError(
                f"{what} are {values.dtype}, as for a regression, but all of them are 0 or 1, as for labels; give "
                f"labels as uint8, and leave out columns that say nothing."
            )
        large = np.argwhere(np.isfinite(values) & (np.abs(values) > np.finfo(np.float32).max))
        if len(large):
            image, column = large[0].tolist()
            raise InputError(
                f"{what} must be numbers that float32 has, but that of image {image} in column {column} is "
                f"{values[image, column]:g}; scale them."
            )
        return values.astype(np.float32)
    wrong = np.argwhere((values != 0) & (values != 1))
    if len(wrong):
        image, column = wrong[0].tolist()
        raise InputError(
            f"{what} with several columns say for each label whether an image has it, by 0 or 1, but that of image "
            f"{image} in column {column} is {values[image, column]}; for a regression give them as float32, and for "
            f"classes as whole numbers (N,)."
        )
    return values.astype(np.uint8)


def task_of(targets: Targets) -> Task:
    """The task whose targets have this form."""
    if targets.ndim == 1:
        return CLASSIFICATION
    return MultiLabel() if targets.dtype == np.uint8 else Regression()


def note_one_label(targets: Targets, task: Task) -> tuple[str, ...]:
    """A sentence where every image has exactly one of several labels, which then are classes."""
    if not isinstance(task, MultiLabel) or not (targets.sum(1) == 1).all():
        return ()
    return (
        "Every image has exactly one label. Labels that exclude each other are classes, which networks learn better as "
        "such: give whole numbers (N,), labels.argmax(1).",
    )
