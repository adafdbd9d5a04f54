"""What the best network answers to the test images of each class, as tables of the page."""

from __future__ import annotations

from itertools import islice

import attrs

from nasplug.report.number_format import format_count, format_percent
from nasplug.store.class_errors import ClassErrors, ConfusedPair, read_class_errors
from nasplug.store.result import RunResult

LARGEST_MATRIX = 30
"""With more classes, the confusion matrix gives way to the worst classes and the most frequent confusions."""
MOST_ROWS = 20
"""Rows of these, at most."""


@attrs.frozen
class MatrixCell:
    """Test images of one class with one answer."""

    text: str
    """Their number; empty for none."""
    share: int
    """Of the images of the class, in per cent."""
    right: bool


@attrs.frozen
class MatrixRow:
    """The answers to the test images of one class."""

    name: str
    images: str
    recall: str
    cells: tuple[MatrixCell, ...]


@attrs.frozen
class ClassTables:
    """All that the page says of classes."""

    summary: str
    inputs: str
    """What inputs are called: images or signals."""
    uneven: bool
    """Whether the classes are of unequal size."""
    heads: tuple[str, ...]
    matrix: tuple[MatrixRow, ...]
    """The confusion matrix; empty for many classes."""
    worst: tuple[tuple[str, str, str], ...]
    """Of many classes, those of the lowest recall: name, test images and recall."""
    confused: tuple[tuple[str, str, str, str], ...]
    """Of many classes, the most frequent confusions: class, answer, images, and their share of the class."""


def tabulate_classes(result: RunResult) -> ClassTables | None:
    """The classes of the best network; None if it was not tested, or by a version that did not record its answers."""
    errors = read_class_errors(result)
    if errors is None:
        return None
    places, small = range(len(errors.classes)), len(errors.classes) <= LARGEST_MATRIX
    return ClassTables(
        summary=_summarise(errors, result.input_word),
        inputs=f"{result.input_word}s",
        uneven=errors.uneven,
        heads=errors.classes,
        matrix=tuple(_make_row(errors, place) for place in places) if small else (),
        worst=() if small else tuple(_describe_class(errors, place) for place in errors.worst_first()[:MOST_ROWS]),
        confused=() if small else tuple(map(_describe_pair, islice(errors.confused(), MOST_ROWS))),
    )


def _summarise(errors: ClassErrors, word: str) -> str:
    worst = errors.worst_first()[0]
    return (
        f"The balanced accuracy of the best network, {errors.network.id}, is "
        f"{format_percent(errors.balanced_accuracy)}: the mean of its recalls, which are the shares of the test "
        f"{word}s of each class that are right. The lowest is {format_percent(errors.recall(worst))} of the "
        f"{format_count(errors.images(worst))} test {word}s of '{errors.classes[worst]}'."
    )


def _make_row(errors: ClassErrors, place: int) -> MatrixRow:
    images = errors.images(place)
    counts = [errors.counts.get((place, answer), 0) for answer in range(len(errors.classes))]
    cells = [
        MatrixCell(format_count(count) if count else "", round(100 * count / images) if count else 0, answer == place)
        for answer, count in enumerate(counts)
    ]
    return MatrixRow(*_describe_class(errors, place), tuple(cells))


def _describe_class(errors: ClassErrors, place: int) -> tuple[str, str, str]:
    images, recall = errors.images(place), errors.recall(place)
    return errors.classes[place], format_count(images), "" if recall is None else format_percent(recall)


def _describe_pair(pair: ConfusedPair) -> tuple[str, str, str, str]:
    return pair.true, pair.answer, format_count(pair.images), format_percent(pair.share)
