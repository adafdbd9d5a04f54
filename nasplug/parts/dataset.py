"""Sources of images. A data set is a part like those of the slots: registered by name, built from options."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

import attrs
import numpy as np
import numpy.typing as npt
from torch import Tensor

from nasplug.parts.classification import CLASSIFICATION
from nasplug.parts.random_boxes import RandomBoxes
from nasplug.parts.task import Targets, Task
from nasplug.values import sides
from nasplug.values.shape import INPUT_WORDS


class EncodedImage(Protocol):
    """An image file as a whole; `str` of it is what a user calls it. Paths are such."""

    def read_bytes(self) -> bytes:
        """The content of the file."""
        ...


class Images(ABC):
    """Labelled images of one size that are read by index.

    Reading must give the same image for an index every time, and may happen in several threads at once.
    """

    labels: Targets
    """The targets of every image: with classes int64 (N,), counted from 0; else (N, outputs), as `Task.check` says."""

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def read(self, indices: Sequence[int]) -> Tensor:
        """The images at `indices`, uint8 (len(indices), C, H, W), without augmentation or normalisation.

        Signals have one row, (len(indices), C, 1, L), and may be float32; see `ImageData.dtype`.
        """

    @property
    def has_originals(self) -> bool:
        """Whether there is more of an image than `read` gives, of which `read_crops` shows parts. May be overridden."""
        return False

    def read_crops(self, indices: Sequence[int], boxes: RandomBoxes) -> Tensor:
        """The part of each original inside its box, scaled to the size of the images: uint8 (len(indices), C, H, W).

        For training with random crops, of images that have originals; `boxes.fit(sizes)` gives the boxes.
        """
        raise NotImplementedError

    @property
    def names(self) -> tuple[str, ...] | None:
        """What a user calls each image, such as the path of its file; None: they are numbered. May be overridden."""
        return None

    @property
    def files(self) -> Sequence[EncodedImage] | None:
        """The file of each image, whose header tells what was in it before it was scaled; None: they have none.

        May be overridden.
        """
        return None

    def digests(self, indices: Sequence[int]) -> list[str] | None:
        """Digests of what holds the images at `indices`, such as their files; None: their pixels are all there is.

        A run records them, and a resumed run compares them. May be overridden where the files can be compared without
        decoding them, or where decoding depends on versions of libraries.
        """
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on how the images were read that a user should know. Asked for when all have been read once."""
        return ()


@attrs.frozen
class ImageData:
    """A loaded data set of square images, or of signals of one length."""

    name: str
    """What reports and messages call it."""
    classes: tuple[str, ...]
    """The names of the classes, by label, or of the other outputs of the task."""
    size: int
    """Height and width of every image, in pixels, or the samples of every signal."""
    channels: int
    """1 or 3; of signals any number."""
    train: Images
    """The images for training; those for validation are among them."""
    test: Images | None
    """The images for the test; None: a share of `train` is held out for it."""
    flips: bool = True
    """Whether standard augmentation may flip images left to right (not for digits, whose meaning it would change)."""
    shift: int = 4
    """How far standard augmentation shifts images in each direction, in pixels."""
    bits: int | None = None
    """Bits used of each value in files of more than 8, which were scaled to 8; None: all files have 8 bits."""
    notes: tuple[str, ...] = ()
    """Sentences that a user should know, such as which files were passed over; a run prints and records them."""
    validation: npt.NDArray[np.int64] | None = attrs.field(default=None, eq=False)
    """Indices of the images in `train` that are for validation and not trained on; None: a share is held out."""
    skipped: tuple[str, ...] = ()
    """Names of the images that were left out because they cannot be read, where the user has asked for this."""
    task: Task = CLASSIFICATION
    """What a network answers to an image."""
    dims: int = 2
    """As `ImageShape.dims`: 2 for images, 1 for signals."""
    dtype: str = "uint8"
    """The type of values, one of `nasplug.values.shape.SCALES`."""

    @property
    def tensor_shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of the tensor of one image or signal."""
        return (self.channels, *sides(self.size, self.dims))

    @property
    def input_word(self) -> str:
        """What one input is called: image or signal."""
        return INPUT_WORDS[self.dims]


class DataSource(ABC):
    """Where images come from."""

    chosen_from_images: ClassVar[tuple[str, ...]] = ()
    """Options that, where they are unset, `load` chooses from the images, for the recipe to record.

    Each is called like the field of ImageData that has the choice.
    """
    location_is_path: ClassVar[bool] = False
    """Whether the location can be a path: a run is then resumed from any directory, with the images at the same
    place."""
    earlier_options: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """What options that were added later are in runs of earlier versions, whose recipes do not have them; those that
    are not here have their default."""

    @abstractmethod
    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Loads the data set; called once at the start of a command that needs images.

        `location` is what follows the colon in `--data NAME:LOCATION`, or empty; `root` is `--data-root`. Missing files
        may be downloaded only if `download` is set. Raises InputError for data that are missing, damaged, mislabelled
        or too few.
        """
