"""What the images tell of themselves that makes a result mean less than it seems to, as sentences."""

from __future__ import annotations

import math

import attrs
import numpy as np

from nasplug.data.duplicates import Duplicates
from nasplug.data.label_forms import note_label_forms
from nasplug.data.reading import list_targets
from nasplug.data.splits import ENOUGH_VALIDATION, Splits
from nasplug.data.survey import SurveyedImages
from nasplug.parts import ImageData, Images, Task
from nasplug.parts.classification import CLASSIFICATION

WORDS = {"train": "training", "validation": "validation"}
"""What the images of a split are called."""

COMPARED = {1: "value by value", 2: "pixel by pixel"}
"""How inputs of so many dimensions are equal."""


@attrs.frozen
class Remarks:
    """Sentences on the images of a run."""

    leaks: tuple[str, ...]
    """On test images that are also trained on or chosen by; they are warnings."""
    contradictions: tuple[str, ...]
    """On equal images of several classes."""
    notes: tuple[str, ...]


def remark(
    data: ImageData, splits: Splits, train: SurveyedImages, test: SurveyedImages | None, duplicates: Duplicates
) -> Remarks:
    """What is to be said of surveyed images and of their division."""
    evaluated = splits.test_images(data)
    notes = [
        *(note_label_forms(data.classes) if data.task.has_classes else ()),
        *_note_constant(data, train, test, duplicates),
        *_describe_copies(data, duplicates, "train", "validation"),
        *_note_flood(duplicates),
        *_note_imbalance(data, evaluated, splits),
        *_note_own_validation(data, splits),
    ]
    if len(set(train.pixels)) == 1:
        notes.append(f"All {data.input_word}s for training are equal; there is nothing to learn from them.")
    return Remarks(
        leaks=tuple(
            f"A leak between {WORDS[first]} and test: {text}"
            for first in ("train", "validation")
            for text in _describe_copies(data, duplicates, first, "test")
        ),
        contradictions=tuple(_describe_contradictions(data, duplicates)),
        notes=tuple(notes),
    )


def _describe_copies(data: ImageData, duplicates: Duplicates, first: str, second: str) -> list[str]:
    """The images of a split that are also in another one, pixel by pixel or nearly."""
    overlap, word = duplicates.overlap(first, second), data.input_word
    images, originals = _count(len(duplicates.members[second]), f"{second} {word}"), f"{WORDS[first]} {word}s"
    return [
        f"{len(copies):,} of {images} {what} (first: {duplicates.describe(copies, equal)}); the {second} error says "
        f"less of new {word}s."
        for copies, what, equal in (
            (overlap.equal, f"copies of {originals}, {COMPARED[data.dims]}", "equal to"),
            (overlap.near, f"nearly equal to {originals}", "nearly equal to"),
        )
        if copies
    ]


def _describe_contradictions(data: ImageData, duplicates: Duplicates) -> list[str]:
    """Equal images of different classes, or with other labels or numbers, of which at most one can be right."""
    targets = [data.train.labels, *([] if data.test is None else [data.test.labels])]
    labels = [label for each in targets for label in list_targets(each)]
    classes: dict[str, set[object]] = {}
    for digest, label in zip(duplicates.digests, labels, strict=True):
        classes.setdefault(digest, set()).add(label)
    found = [index for index, digest in enumerate(duplicates.digests) if len(classes[digest]) > 1]
    if not found:
        return []
    # Two of one content, whose classes differ.
    first = found[0]
    other = next(
        index
        for index in found
        if duplicates.digests[index] == duplicates.digests[first] and labels[index] != labels[first]
    )
    if not data.task.has_classes:
        named = " and ".join(duplicates.names[index] for index in (first, other))
        return [
            f"{_count(len(found), data.input_word)} equal to {data.input_word}s with other {data.task.outputs}, "
            f"{COMPARED[data.dims]} (such as {named}); at most one can be right."
        ]
    named = " and ".join(f"{duplicates.names[index]} ({data.classes[labels[index]]})" for index in (first, other))
    return [
        f"{_count(len(found), data.input_word)} equal to {data.input_word}s of another class, "
        f"{COMPARED[data.dims]} (such as {named}); at most one of the classes is right."
    ]


def _note_constant(
    data: ImageData, train: SurveyedImages, test: SurveyedImages | None, duplicates: Duplicates
) -> list[str]:
    constant = np.concatenate([each.constant for each in (train, test) if each is not None])
    found = np.flatnonzero(constant)
    if len(found) == 0:
        return []
    what = "one single colour" if data.dims == 2 else "one value everywhere"
    return [f"{_count(len(found), data.input_word)} of {what} (first: {duplicates.names[found[0]]})."]


def _note_flood(duplicates: Duplicates) -> list[str]:
    if duplicates.near is None or duplicates.near.complete:
        return []
    return [
        "So many images are nearly equal to each other that the search for them was given up; there are more than are "
        "named."
    ]


def _note_imbalance(data: ImageData, tests: Images, splits: Splits) -> list[str]:
    """A class so large that always answering it has less than half of the error of guessing."""
    if not data.task.has_classes:
        return []
    name, images, indices = ("test", tests, splits.test) if len(splits.test) else ("training", data.train, splits.train)
    counts = np.bincount(images.labels[indices], minlength=len(data.classes))
    largest = int(counts.argmax())
    error = 1 - counts[largest] / counts.sum()
    if error >= (1 - 1 / len(data.classes)) / 2:
        return []
    return [
        f"The classes are out of balance: {counts[largest]:,} of {counts.sum():,} {name} {data.input_word}s are of "
        f"class '{data.classes[largest]}', so that always answering it has an error of {error:.1%}. The balanced test "
        f"error, the mean of the errors by class, tells more; result.json has it for each network. retrain.balance and "
        f"search.balance (weights or sampling) make up for it in training, and with select.by=balanced the balanced "
        f"validation error decides which network is the best."
    ]


def _note_own_validation(data: ImageData, splits: Splits) -> list[str]:
    """That validation images are those of the data set, and none are held out."""
    if data.validation is None or not np.array_equal(np.sort(data.validation), splits.validation):
        return []
    return [
        f"{_count(len(data.validation), data.input_word)} the validation split, as the data set has it; "
        f"data.validation, the share to hold out for it, has no effect."
    ]


def note_few(splits: Splits, task: Task = CLASSIFICATION, word: str = "image") -> list[str]:
    """So few images for validation that chance has a large part in which network is taken to be the best."""
    count = len(splits.validation)
    if not 0 < count < ENOUGH_VALIDATION:
        return []
    if not task.has_classes:
        return [
            f"{_count(count, word)} held out for validation, so that which network is the best, and when, is partly "
            f"chance. More {word}s, or cross-validation over all {len(splits.development):,} that are not for the test "
            f"(data.folds=5), tell more."
        ]
    chance = math.sqrt(0.1 * 0.9 / count)
    return [
        f"{_count(count, word)} held out for validation, so one {word} is {1 / count:.1%}, and an error of 10 % has "
        f"a standard error of {chance:.1%}: which network is the best, and when, is partly chance. More {word}s, or "
        f"cross-validation over all {len(splits.development):,} that are not for the test (data.folds=5), tell more."
    ]


def describe_folds(folds: int, count: int, task: Task = CLASSIFICATION, word: str = "image") -> str:
    """How networks are chosen by cross-validation over so many images, or what `word` says, and how much is chance."""
    if not task.has_classes:
        return (
            f"Networks are chosen by cross-validation (data.folds={folds}): each is trained {folds} times, each time "
            f"without one fold of the {count:,} {word}s that are not for the test, and its validation error is that on "
            f"all of them by the training without them. Those that are kept are trained once more, on all of these "
            f"{word}s, and tested."
        )
    chance = math.sqrt(0.1 * 0.9 / count)
    return (
        f"Networks are chosen by cross-validation (data.folds={folds}): each is trained {folds} times, each time "
        f"without one fold of the {count:,} {word}s that are not for the test, and its validation error is the share "
        f"of all of them that the training without them gets wrong; an error of 10 % has a standard error of "
        f"{chance:.1%} or more. Those that are kept are trained once more, on all of these {word}s, and tested."
    )


def _count(number: int, what: str) -> str:
    return f"1 {what} is" if number == 1 else f"{number:,} {what}s are"
