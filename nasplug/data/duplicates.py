"""Which images of a data set are there several times, in one split or in two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import combinations_with_replacement

import attrs
import numpy as np

from nasplug.data.near_duplicates import NearDuplicates, find_near_duplicates
from nasplug.data.splits import Indices, Splits
from nasplug.data.survey import SurveyedImages
from nasplug.parts import ImageData, Images

SPLITS = ("train", "validation", "test")
Copy = tuple[int, int]
"""An image, and the first of those that it is a copy of."""


@attrs.frozen(eq=False)
class Overlap:
    """What two splits have in common, or, if they are the same split, what is there more than once."""

    first: str
    second: str
    equal: tuple[Copy, ...]
    """Images of the second split with pixels of one of the first."""
    near: tuple[Copy, ...]
    """Other images of the second split that are nearly equal to one of the first."""


@attrs.frozen(eq=False)
class Duplicates:
    """Equal and nearly equal images; images are numbered through, those for training and then those for the test."""

    digests: tuple[str, ...]
    names: tuple[str, ...]
    members: Mapping[str, Indices]
    """By split, its images."""
    near: NearDuplicates | None
    """Of the first images of each content; None: they were not looked for."""

    @classmethod
    def find(
        cls, data: ImageData, splits: Splits, train: SurveyedImages, test: SurveyedImages | None, *, closely: bool
    ) -> Duplicates:
        """Those among surveyed images, with `closely` those that are nearly equal, too."""
        digests, names = train.pixels, _names(data.train, "number {}")
        members = {name: np.asarray(getattr(splits, name)) for name in SPLITS}
        if data.test is not None and test is not None:
            digests += test.pixels
            names += _names(data.test, "number {} of the test images")
        if splits.test_from == "test":
            members["test"] = members["test"] + len(data.train)
        thumbnails = [each.thumbnails for each in (train, test) if each is not None and each.thumbnails is not None]
        if not (closely and thumbnails):
            return cls(digests, names, members, None)
        _, firsts = np.unique(digests, return_index=True)
        firsts = np.sort(firsts)
        near = find_near_duplicates(np.concatenate(thumbnails)[firsts])
        return cls(digests, names, members, NearDuplicates(firsts[near.pairs], near.complete))

    def overlap(self, first: str, second: str) -> Overlap:
        """What the split `second` repeats of `first`; each image counts once."""
        originals: dict[str, int] = {}
        for index in self.members[first].tolist():
            originals.setdefault(self.digests[index], index)
        equal, near = [], []
        for index in self.members[second].tolist():
            original = originals.get(self.digests[index])
            if original is not None and original != index:
                equal.append((index, original))
            elif (alike := self._first_alike(index, originals, before=first == second)) is not None:
                near.append((index, alike))
        return Overlap(first, second, tuple(equal), tuple(near))

    def overlaps(self) -> Iterator[Overlap]:
        """Those of each split with itself and with each other one."""
        for first, second in combinations_with_replacement(SPLITS, 2):
            yield self.overlap(first, second)

    def describe(self, copies: Sequence[Copy], word: str, most: int = 3) -> str:
        """The first of these copies by name, as a part of a sentence."""
        named = [f"{self.names[copy]}, {word} {self.names[original]}" for copy, original in copies[:most]]
        return "; ".join(named)

    def _first_alike(self, index: int, originals: Mapping[str, int], *, before: bool) -> int | None:
        """The first image of `originals` that is nearly equal to this one; with `before`, of those before it."""
        alike = [originals[digest] for digest in self._near_digests.get(self.digests[index], ()) if digest in originals]
        return min((each for each in alike if not before or each < index), default=None)

    @cached_property
    def _near_digests(self) -> Mapping[str, Sequence[str]]:
        """By content, the contents that are nearly equal to it."""
        found: dict[str, list[str]] = {}
        for first, second in () if self.near is None else self.near.pairs.tolist():
            found.setdefault(self.digests[first], []).append(self.digests[second])
            found.setdefault(self.digests[second], []).append(self.digests[first])
        return found


def _names(images: Images, number: str) -> tuple[str, ...]:
    names = images.names
    return tuple(map(number.format, range(len(images)))) if names is None else tuple(names)
