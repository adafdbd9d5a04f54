"""The shapes of images, logits and feature maps."""

from __future__ import annotations

from numbers import Integral

import attrs

from nasplug.errors import InputError


@attrs.frozen
class ImageShape:
    """Square images of `size` x `size` pixels with `channels` channels, of `classes` classes.

    Raises InputError unless all three are whole numbers of at least 1.
    """

    channels: int
    size: int
    classes: int
    mean: tuple[float, ...] = ()
    """By channel, what normalisation subtracts from images on the scale from 0 to 1; empty: nothing."""
    std: tuple[float, ...] = ()
    """By channel, what normalisation divides by afterwards; empty: nothing."""

    def __attrs_post_init__(self) -> None:
        numbers: dict[str, object] = {"channels": self.channels, "size": self.size, "classes": self.classes}
        for name, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
                raise InputError(f"The {name} of images must be a whole number from 1 on, but got {value!r:.40}.")


@attrs.frozen
class MapShape:
    """Square feature maps: `channels` channels of `size` x `size` pixels."""

    channels: int
    size: int
