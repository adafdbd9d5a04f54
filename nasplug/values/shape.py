"""The form of the images that a network takes and of the answer that it gives."""

from __future__ import annotations

import attrs


@attrs.frozen
class ImageShape:
    """Square images of `size` pixels with `channels` colour planes, sorted into `classes` classes."""

    channels: int
    size: int
    classes: int
