"""Looks at every image once, before a run begins: what cannot be read is refused, and what was seen is kept."""

from __future__ import annotations

import hashlib

import attrs
import numpy as np
import numpy.typing as npt
from torch import Tensor

from nasplug.data.near_duplicates import LEAST_SIDE, Thumbnails, make_thumbnails
from nasplug.data.reading import all_of, read_in_chunks
from nasplug.data.statistics import Sums, channel_sums
from nasplug.parts import Images


@attrs.frozen(eq=False)
class SurveyedImages:
    """What was seen in a set of images, by index."""

    pixels: tuple[str, ...]
    """Digests of the pixels."""
    constant: npt.NDArray[np.bool_]
    """Whether an image has one value everywhere in each channel."""
    grey: npt.NDArray[np.bool_]
    """Whether its channels are equal."""
    sums: Sums
    thumbnails: Thumbnails | None
    """To find what is nearly equal; None: that was not asked for, or the images are too small to tell, or signals."""


def survey(images: Images, *, with_thumbnails: bool = False) -> SurveyedImages:
    """Reads all images once. Raises InputError that names those which cannot be read."""
    digests: list[str] = []
    constant: list[npt.NDArray[np.bool_]] = []
    grey: list[npt.NDArray[np.bool_]] = []
    sums: list[Sums] = []
    thumbnails: list[Thumbnails] = []
    for pixels in read_in_chunks(images, all_of(images)):
        digests += digest_pixels(pixels)
        flat = pixels.flatten(2)
        constant.append((flat.amin(2) == flat.amax(2)).all(1).numpy())
        grey.append((flat == flat[:, :1]).flatten(1).all(1).numpy())
        sums.append(channel_sums(pixels))
        if with_thumbnails and pixels.shape[-1] == pixels.shape[-2] >= LEAST_SIDE:
            thumbnails.append(make_thumbnails(pixels))
    return SurveyedImages(
        pixels=tuple(digests),
        constant=np.concatenate(constant),
        grey=np.concatenate(grey),
        sums=np.concatenate(sums),
        thumbnails=np.concatenate(thumbnails) if thumbnails else None,
    )


def digest_pixels(pixels: Tensor) -> list[str]:
    """A digest of each image of a batch, 16 hexadecimal digits."""
    return [hashlib.sha256(image.tobytes()).hexdigest()[:16] for image in pixels.cpu().contiguous().numpy()]
