"""Everything that one look at all images of a data set tells."""

from __future__ import annotations

import math

import attrs

from nasplug.data.duplicates import Duplicates
from nasplug.data.notes import Remarks, note_few, remark
from nasplug.data.splits import Splits
from nasplug.data.statistics import constant_channels, mean_and_std_of
from nasplug.data.survey import SurveyedImages, survey
from nasplug.parts import ImageData


@attrs.frozen(eq=False)
class Overview:
    """What was seen of a data set and of its division into splits."""

    data: ImageData
    splits: Splits
    train: SurveyedImages
    test: SurveyedImages | None
    """Of its own test images, if there are any."""
    mean: tuple[float, ...]
    """Per channel, over the train split, on the scale from 0 to 1."""
    std: tuple[float, ...]
    constant: tuple[int, ...]
    """The channels that have one value in the whole train split."""
    folds: int
    """Of the cross-validation by which networks are to be chosen; 0: by the validation split."""

    @property
    def has_thumbnails(self) -> bool:
        """Whether nearly equal images can be found."""
        return self.train.thumbnails is not None

    @property
    def noticed(self) -> tuple[str, ...]:
        """What was said when the images were found and read."""
        train, test = self.data.train, self.data.test
        return (*self.data.notes, *train.notes, *(test.notes if test is not None else ()))

    def find_duplicates(self, *, closely: bool) -> Duplicates:
        """The equal images and, with `closely` and thumbnails, those that are nearly equal, which takes longer."""
        return Duplicates.find(self.data, self.splits, self.train, self.test, closely=closely)

    def remark(self, duplicates: Duplicates) -> Remarks:
        """What is to be said of the images."""
        remarks = remark(self.data, self.splits, self.train, self.test, duplicates)
        few = [] if self.folds else note_few(self.splits, self.data.task, self.data.input_word)
        return attrs.evolve(
            remarks, notes=(*remarks.notes, *few, *_note_constant_channels(self.mean, self.constant, self.data))
        )


def look(data: ImageData, splits: Splits, *, with_thumbnails: bool, folds: int = 0) -> Overview:
    """Reads every image once. Raises InputError that names images which cannot be read."""
    train = survey(data.train, with_thumbnails=with_thumbnails)
    test = None if data.test is None else survey(data.test, with_thumbnails=with_thumbnails)
    sums, pixels = train.sums[splits.train], math.prod(data.tensor_shape[1:])
    mean, std = mean_and_std_of(sums, pixels)
    return Overview(data, splits, train, test, mean, std, constant_channels(sums, pixels), folds)


def _note_constant_channels(mean: tuple[float, ...], constant: tuple[int, ...], data: ImageData) -> list[str]:
    if not constant:
        return []
    which = "All channels" if len(constant) == len(mean) else f"Channel {' and '.join(map(str, constant))}"
    values = ", ".join(f"{mean[channel]:.3f}" for channel in constant)
    scale = " of 1" if data.dtype == "uint8" else ""
    return [
        f"{which} of the training {data.input_word}s have one value everywhere ({values}{scale}), which tells nothing."
    ]
