"""What is found as nearly equal: the figures of docs/how-to/use-your-images.md.

    python tests/benchmarks/near_duplicates.py DATA_ROOT

DATA_ROOT holds `cifar-10-batches-py`, as torchvision keeps it. Prints how many changed images are found beside their
originals, and which pairs of unchanged ones are taken for nearly equal.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torchvision.datasets import CIFAR10

from nasplug.builtin.data_sets.digits import Digits
from nasplug.data.near_duplicates import (
    CORRELATION,
    DISTANCE,
    SIDE,
    Thumbnails,
    correlate,
    find_near_duplicates,
    hash_thumbnails,
    make_thumbnails,
)
from nasplug.data.reading import all_of

ENLARGED = 128
ORIGINALS = 1000


def save_as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    """The image after it was written and read."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


def crop(image: Image.Image, share: float) -> Image.Image:
    """The image without this share of its width on each side."""
    edge = round(image.width * share)
    return image.crop((edge, edge, image.width - edge, image.height - edge))


CHANGES: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG, quality 75": lambda image: save_as_jpeg(image, 75),
    "JPEG, quality 30": lambda image: save_as_jpeg(image, 30),
    "half the size": lambda image: save_as_jpeg(image.resize((ENLARGED // 2, ENLARGED // 2)), 75),
    "0.7 of the contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    "grey": lambda image: image.convert("L"),
    "cropped by 1 %": lambda image: crop(image, 0.01),
    "1.3 times as bright": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "cropped by 3 %": lambda image: crop(image, 0.03),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


def thumbnails_of(images: Sequence[Image.Image]) -> Thumbnails:
    """As a data set of 32x32 pixels gives them."""
    scaled = [image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR) for image in images]
    return make_thumbnails(torch.from_numpy(np.stack([np.array(image) for image in scaled])).permute(0, 3, 1, 2))


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data_root", type=Path)
    root = parser.parse_args().data_root
    train, test = (CIFAR10(root, train=which) for which in (True, False))

    enlarged = [Image.fromarray(image).resize((ENLARGED, ENLARGED)) for image in test.data[:ORIGINALS]]
    originals = thumbnails_of(enlarged)
    hashes = hash_thumbnails(originals)
    indices = np.arange(ORIGINALS)
    for name, change in CHANGES.items():
        changed = thumbnails_of([change(image) for image in enlarged])
        close = (hash_thumbnails(changed) != hashes).sum(1) <= DISTANCE
        pairs = np.stack([indices, indices + ORIGINALS], 1)
        alike = correlate(np.concatenate([originals, changed]), pairs) >= CORRELATION
        print(f"{name}: {(close & alike).mean():.1%}")

    everything = np.concatenate([train.data, test.data])
    labels = np.array([*train.targets, *test.targets])
    pairs = find_near_duplicates(thumbnails_of([Image.fromarray(image) for image in everything])).pairs
    leaked = {second for first, second in pairs.tolist() if first < len(train.data) <= second}
    same = (labels[pairs[:, 0]] == labels[pairs[:, 1]]).mean()
    print(f"CIFAR-10: {len(pairs)} pairs, {same:.1%} of one class; {len(leaked)} test images equal training images")

    digits = Digits().load("", None, download=False).train
    pairs = find_near_duplicates(make_thumbnails(digits.read(all_of(digits).tolist()))).pairs
    print(f"digits, if their size were not refused: {len(pairs)} pairs")


if __name__ == "__main__":
    main()
