"""What the best network of a run answers to the test images of each class. Importing this module imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from nasplug.store.network_result import NetworkResult
from nasplug.store.result import RunResult

UNEVEN = 1.5
"""Where the largest class has more than so many times the test images of the smallest, classes are of unequal size."""


@attrs.frozen
class ConfusedPair:
    """A class, one that it is taken for, and how often."""

    true: str
    answer: str
    images: int
    share: float
    """Of the test images of the class, from 0 to 1."""


@attrs.frozen
class ClassErrors:
    """The answers of one network to the test images, by class."""

    network: NetworkResult
    classes: tuple[str, ...]
    counts: Mapping[tuple[int, int], int]
    """Images by class and answer; pairs that do not occur are left out."""

    def images(self, place: int) -> int:
        """The test images of a class."""
        return sum(count for (true, _), count in self.counts.items() if true == place)

    def recall(self, place: int) -> float | None:
        """The share of the test images of a class that are right, from 0 to 1; None if it has none."""
        images = self.images(place)
        return self.counts.get((place, place), 0) / images if images else None

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that have test images."""
        recalls = [recall for recall in map(self.recall, range(len(self.classes))) if recall is not None]
        return sum(recalls) / len(recalls)

    @property
    def uneven(self) -> bool:
        """Whether the classes are of so unequal size that the error alone may mislead."""
        sizes = [self.images(place) for place in range(len(self.classes))]
        return max(sizes) > UNEVEN * min(sizes)

    def worst_first(self) -> list[int]:
        """The classes that have test images, those of the lowest recall first."""
        recalls = {place: self.recall(place) for place in range(len(self.classes))}
        known = {place: recall for place, recall in recalls.items() if recall is not None}
        return sorted(known, key=lambda place: known[place])

    def confused(self) -> Iterator[ConfusedPair]:
        """Pairs of a class and another one that it is taken for, the most frequent first."""
        wrong = {pair: count for pair, count in self.counts.items() if pair[0] != pair[1]}
        for true, answer in sorted(wrong, key=lambda pair: -wrong[pair]):
            count = wrong[true, answer]
            yield ConfusedPair(self.classes[true], self.classes[answer], count, count / self.images(true))


def read_class_errors(result: RunResult) -> ClassErrors | None:
    """The answers of the best network of a run; None if it was not tested, or by a version that did not record them."""
    best, classes = result.network(result.best), result.data.get("classes")
    if best is None or not best.confusion or not isinstance(classes, list):
        return None
    counts = {(true, answer): images for true, answer, images in best.confusion}
    names = [str(name) for name in classes]
    if max(map(max, counts)) >= len(names):
        return None
    return ClassErrors(best, tuple(names), counts)
