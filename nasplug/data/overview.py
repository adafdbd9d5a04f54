"""Everything that one look at all images of a data set tells."""

from __future__ import annotations

import attrs
import numpy as np

from nasplug.data.duplicates import Duplicates
from nasplug.data.notes import Remarks, remark
from nasplug.data.splits import Splits
from nasplug.data.statistics import mean_and_std_of
from nasplug.data.survey import SurveyedImages, survey
from nasplug.parts import ImageData


@attrs.frozen(eq=False)
class Overview:
    """What was seen of a data set and of its division into splits."""

    train: SurveyedImages
    test: SurveyedImages | None
    """Of its own test images, if there are any."""
    duplicates: Duplicates
    mean: tuple[float, ...]
    """Per channel, over the train split, on the scale from 0 to 1."""
    std: tuple[float, ...]
    remarks: Remarks
    noticed: tuple[str, ...]
    """What was said when the images were found and read."""

    @property
    def notes(self) -> tuple[str, ...]:
        """All sentences except warnings."""
        return (*self.noticed, *self.remarks.contradictions, *self.remarks.notes)


def look(data: ImageData, splits: Splits, *, closely: bool) -> Overview:
    """Reads every image once; with `closely`, nearly equal images are found too.

    Raises InputError that names images which cannot be read.
    """
    train = survey(data.train, closely=closely)
    test = None if data.test is None else survey(data.test, closely=closely)
    duplicates = Duplicates.find(data, splits, train, test)
    mean, std = mean_and_std_of(train.sums[splits.train], data.size**2)
    remarks = remark(data, splits, train, test, duplicates)
    noticed = (*data.notes, *data.train.notes, *(data.test.notes if data.test is not None else ()))
    constant = _note_constant_channels(mean, std)
    return Overview(
        train, test, duplicates, mean, std, attrs.evolve(remarks, notes=(*remarks.notes, *constant)), noticed
    )


def _note_constant_channels(mean: tuple[float, ...], std: tuple[float, ...]) -> list[str]:
    """Channels that are the same everywhere: `mean_and_std` gives them the deviation 1, which no other can have."""
    constant = np.flatnonzero(np.array(std) == 1.0).tolist()
    if not constant:
        return []
    which = "All channels" if len(constant) == len(std) else f"Channel {' and '.join(map(str, constant))}"
    values = ", ".join(f"{mean[channel]:.3f}" for channel in constant)
    return [f"{which} of the training images have one value everywhere ({values} of 1), which tells nothing."]
