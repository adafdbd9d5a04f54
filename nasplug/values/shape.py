"""The form of images, of the answer that a network gives, and of the maps in between."""

from __future__ import annotations

from numbers import Integral

import attrs

from nasplug.errors import InputError


@attrs.frozen
class ImageShape:
    """Square images of `size` pixels with `channels` colour planes, sorted into `classes` classes.

    Raises InputError unless all three are whole numbers from 1 on.
    """

    channels: int
    size: int
    classes: int
    mean: tuple[float, ...] = ()
    """What was subtracted from each plane of images on the scale from 0 to 1; empty: nothing."""
    std: tuple[float, ...] = ()
    """What each plane was divided by then; empty: nothing."""

    def __attrs_post_init__(self) -> None:
        numbers: dict[str, object] = {"channels": self.channels, "size": self.size, "classes": self.classes}
        for name, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
                raise InputError(f"The {name} of images must be a whole number from 1 on, but got {value!r:.40}.")


@attrs.frozen
class MapShape:
    """Square feature maps: so many channels of `size` x `size` pixels."""

    channels: int
    size: int
