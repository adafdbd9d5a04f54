"""Decoded images that are kept in memory, up to so many bytes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from enum import Enum
from threading import Lock

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""An image, (H, W) or (H, W, C)."""


class Form(Enum):
    """In which form an image is kept."""

    SQUARE = "square"
    """As it is read without augmentation: the square in the middle, at the size of the data set."""
    ORIGINAL = "original"
    """Whole and upright, at the size that it has in its file."""


class PixelCache:
    """Keeps decoded images by keys, at most `budget` bytes of them; threads may share it.

    Which images are kept never changes what is read, only how long it takes. Every epoch reads every image once, so a
    new image replaces none of its own form: of two in turn, none would be found. But a run trains either on squares or
    on crops of originals, so images of the other form make room.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._used = 0
        self._kept: dict[Form, dict[Hashable, Pixels]] = {form: {} for form in Form}
        self._full: set[Form] = set()
        self._lock = Lock()

    def find(self, form: Form, keys: Iterable[Hashable]) -> dict[int, Pixels]:
        """The images that are kept in this form, by the position of their key among `keys`."""
        found = ((position, self._kept[form].get(key)) for position, key in enumerate(keys))
        return {position: image for position, image in found if image is not None}

    def has_room(self, form: Form) -> bool:
        """Whether another image of this form may be kept."""
        return form not in self._full

    def keep(self, form: Form, key: Hashable, image: Pixels) -> None:
        """Keeps an image if there is room for it, or if those of the other form can make room."""
        (other,) = set(Form) - {form}
        with self._lock:
            if key in self._kept[form]:
                return
            while self._used + image.nbytes > self._budget and self._kept[other]:
                self._used -= self._kept[other].popitem()[1].nbytes
                self._full.discard(other)
            if self._used + image.nbytes > self._budget:
                self._full.add(form)
                return
            self._kept[form][key] = image
            self._used += image.nbytes
