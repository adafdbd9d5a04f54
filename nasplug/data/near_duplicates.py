"""Images that are nearly equal, such as one photograph in two files: by a perceptual hash, then by their pixels."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

Thumbnails = npt.NDArray[np.uint8]
"""Grey images of SIDE x SIDE pixels, (N, SIDE, SIDE)."""
Hashes = npt.NDArray[np.bool_]
"""The bits of perceptual hashes, (N, BITS)."""
IndexPairs = npt.NDArray[np.int64]
"""Pairs of indices, (P, 2), ascending."""

SIDE = 32
"""The size at which pHash looks at an image."""
LEAST_SIDE = 16
"""Smaller images are too much alike: of 1,797 digits of 8x8 pixels, 48 pairs by other hands would be nearly equal."""
BITS = 64
DISTANCE = 4
"""The most bits in which the hashes of nearly equal images differ."""
CORRELATION = 0.95
"""The least correlation of their pixels. Plain images may have close hashes, but what is noise in them differs."""
MOST_COMPARED = 100_000_000
"""Pairs of hashes that are compared, at most: some twenty seconds."""
MOST_CLOSE = 100_000
"""Pairs of images that are compared, at most; only sets in which nearly all images are alike have so many."""
COMPARED_AT_A_TIME = 4096

LUMA = (299, 587, 114)
"""Thousandths of red, green and blue in grey (ITU-R BT.601), as Pillow takes them."""


@attrs.frozen(eq=False)
class NearDuplicates:
    """Pairs of images that are nearly equal."""

    pairs: IndexPairs
    complete: bool
    """Whether all pairs were looked for; else there are too many images that are alike."""


def make_thumbnails(pixels: Tensor) -> Thumbnails:
    """A batch of images, uint8 (n, C, H, W), in grey at the size of a hash."""
    grey = pixels.float()
    if pixels.shape[1] == 3:
        grey = F.conv2d(grey, torch.tensor(LUMA, dtype=torch.float32).view(1, 3, 1, 1) / 1000)
    scaled = F.interpolate(grey, size=(SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
    return scaled.round().clamp(0, 255).to(torch.uint8)[:, 0].numpy()


def find_near_duplicates(thumbnails: Thumbnails) -> NearDuplicates:
    """All pairs of images whose hashes and whose pixels are close, those that are equal among them."""
    found, compared, complete = [np.empty((0, 2), np.int64)], 0, True
    for close in find_close(hash_thumbnails(thumbnails), DISTANCE):
        if close is None or compared > MOST_CLOSE:
            complete = False
            break
        compared += len(close)
        found.append(close[correlate(thumbnails, close) >= CORRELATION])
    return NearDuplicates(np.unique(np.concatenate(found), axis=0), complete)


def hash_thumbnails(thumbnails: Thumbnails) -> Hashes:
    """The pHash of each thumbnail: the signs of its lowest frequencies against their median."""
    import imagehash  # here, because only this needs it

    hashes = [imagehash.phash(Image.fromarray(thumbnail)).hash.ravel() for thumbnail in thumbnails]
    return np.stack(hashes) if hashes else np.empty((0, BITS), np.bool_)


def find_close(hashes: Hashes, distance: int, most: int = MOST_COMPARED) -> Iterator[IndexPairs | None]:
    """The pairs of hashes that differ in at most `distance` bits; a pair may come several times.

    Multi-index hashing (Norouzi, Punjani and Fleet, 2012): of distance + 1 bands of bits, such hashes agree in at least
    one, so that only hashes which agree in a band are compared. None, as the last item, if these are more than `most`.
    """
    packed = np.packbits(hashes, axis=1)
    compared = 0
    for band in np.array_split(np.arange(hashes.shape[1]), distance + 1):
        keys = hashes[:, band] @ (1 << np.arange(len(band), dtype=np.int64))
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        here = np.arange(len(order))
        step = 1
        # Equal keys stand side by side: a place whose neighbour at one step has another key needs no further step.
        while len(here := here[here + step < len(order)]) and len(here := here[keys[here] == keys[here + step]]):
            compared += len(here)
            if compared > most:
                yield None
                return
            for start in range(0, len(here), COMPARED_AT_A_TIME):
                first = order[here[start : start + COMPARED_AT_A_TIME]]
                second = order[here[start : start + COMPARED_AT_A_TIME] + step]
                differing = np.unpackbits(packed[first] ^ packed[second], axis=1).sum(1, dtype=np.int64)
                close = differing <= distance
                if close.any():
                    yield np.sort(np.stack([first[close], second[close]], 1), axis=1)
            step += 1


def correlate(thumbnails: Thumbnails, pairs: IndexPairs) -> npt.NDArray[np.float64]:
    """Pearson's correlation of the pixels of each pair; 0 where one of the two is constant."""
    first, second = (thumbnails[pairs[:, side]].reshape(len(pairs), -1).astype(np.float64) for side in (0, 1))
    first -= first.mean(1, keepdims=True)
    second -= second.mean(1, keepdims=True)
    scale = np.sqrt(np.square(first).sum(1) * np.square(second).sum(1))
    correlation = np.zeros(len(pairs))
    np.divide((first * second).sum(1), scale, out=correlation, where=scale > 0)
    return correlation
