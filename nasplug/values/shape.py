"""The form of images, of the answer that a network gives, and of the maps in between."""

from __future__ import annotations

import attrs


@attrs.frozen
class ImageShape:
    """Square images of `size` pixels with `channels` colour planes, sorted into `classes` classes."""

    channels: int
    size: int
    classes: int
    mean: tuple[float, ...] = ()
    """What was subtracted from each plane of images on the scale from 0 to 1; empty: nothing."""
    std: tuple[float, ...] = ()
    """What each plane was divided by then; empty: nothing."""


@attrs.frozen
class MapShape:
    """Square feature maps: so many channels of `size` x `size` pixels."""

    channels: int
    size: int
