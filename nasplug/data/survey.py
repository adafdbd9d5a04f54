"""Looks at every image before a run begins: what cannot be read is refused, and what may mislead is said."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt
from torch import Tensor

from nasplug.data.reading import all_of, read_in_chunks
from nasplug.data.splits import ENOUGH_VALIDATION, Splits
from nasplug.parts import ImageData, Images


@attrs.frozen(eq=False)
class SurveyedImages:
    """What was seen in a set of images, by index."""

    pixels: tuple[str, ...]
    """Digests of the pixels."""
    constant: npt.NDArray[np.bool_]
    """Whether an image has one value everywhere in each channel."""


def survey(images: Images) -> SurveyedImages:
    """Reads all images. Raises InputError that names those which cannot be read."""
    digests: list[str] = []
    constant: list[npt.NDArray[np.bool_]] = []
    for pixels in read_in_chunks(images, all_of(images)):
        digests += digest_pixels(pixels)
        flat = pixels.flatten(2)
        constant.append((flat.amin(2) == flat.amax(2)).all(1).numpy())
    return SurveyedImages(tuple(digests), np.concatenate(constant))


def digest_pixels(pixels: Tensor) -> list[str]:
    """A digest of each image of a batch, 16 hexadecimal digits."""
    return [hashlib.sha256(image.tobytes()).hexdigest()[:16] for image in pixels.cpu().contiguous().numpy()]


def note_properties(data: ImageData, splits: Splits, train: SurveyedImages, test: SurveyedImages | None) -> list[str]:
    """Sentences on properties of the images that make a result mean less than it seems to."""
    sets = [(data.train, train)] if data.test is None or test is None else [(data.train, train), (data.test, test)]
    notes = [*_note_constant(sets), *_note_contradictions(sets)]
    if len(set(train.pixels)) == 1:
        notes.append("All images for training are equal; there is nothing to learn from them.")
    evaluated = sets[0] if splits.test_from == "train" else sets[-1]
    for name, (images, surveyed) in (("test", evaluated), ("validation", sets[0])):
        notes += _note_copies(name, images, surveyed, getattr(splits, name), sets[0], splits.train)
    return [*notes, *_note_imbalance(data, evaluated[0], splits), *_note_few(splits)]


def _note_constant(sets: Sequence[tuple[Images, SurveyedImages]]) -> list[str]:
    found = [name for images, seen in sets for name in _names(images, np.flatnonzero(seen.constant))]
    return [f"{_count(len(found), 'image')} of one single colour (first: {found[0]})."] if found else []


def _note_contradictions(sets: Sequence[tuple[Images, SurveyedImages]]) -> list[str]:
    """Equal images of different classes, of which at most one can be right."""
    classes: dict[str, set[int]] = {}
    for images, seen in sets:
        for digest, label in zip(seen.pixels, images.labels.tolist(), strict=True):
            classes.setdefault(digest, set()).add(label)
    unclear = {digest for digest, labels in classes.items() if len(labels) > 1}
    found = [
        name
        for images, seen in sets
        for name in _names(images, [index for index, digest in enumerate(seen.pixels) if digest in unclear])
    ]
    if not found:
        return []
    return [
        f"{_count(len(found), 'image')} equal to images of another class, pixel by pixel (such as "
        f"{' and '.join(found[:2])}); at most one of the classes is right."
    ]


def _note_copies(
    name: str,
    images: Images,
    seen: SurveyedImages,
    indices: npt.NDArray[np.int64],
    train: tuple[Images, SurveyedImages],
    trained: npt.NDArray[np.int64],
) -> list[str]:
    """The images of a split that are also trained on."""
    original = {train[1].pixels[index]: index for index in trained.tolist()}
    copies = [index for index in indices.tolist() if seen.pixels[index] in original]
    if not copies:
        return []
    first, of = _names(images, copies[:1])[0], _names(train[0], [original[seen.pixels[copies[0]]]])[0]
    return [
        f"{len(copies):,} of {_count(len(indices), f'{name} image')} copies of training images, pixel by pixel (first: "
        f"{first}, equal to {of}); the {name} error says less of new images."
    ]


def _note_imbalance(data: ImageData, tests: Images, splits: Splits) -> list[str]:
    """A class so large that always answering it has less than half of the error of guessing."""
    name, images, indices = ("test", tests, splits.test) if len(splits.test) else ("training", data.train, splits.train)
    counts = np.bincount(images.labels[indices], minlength=len(data.classes))
    largest = int(counts.argmax())
    error = 1 - counts[largest] / counts.sum()
    if error >= (1 - 1 / len(data.classes)) / 2:
        return []
    return [
        f"The classes are out of balance: {counts[largest]:,} of {counts.sum():,} {name} images are of class "
        f"'{data.classes[largest]}', so that always answering it has an error of {error:.1%}. The balanced test error, "
        f"the mean of the errors by class, tells more; result.json has it for each network."
    ]


def _note_few(splits: Splits) -> list[str]:
    """So few validation images that chance has a large part in which network is taken to be the best."""
    count = len(splits.validation)
    if not 0 < count < ENOUGH_VALIDATION:
        return []
    chance = math.sqrt(0.1 * 0.9 / count)
    return [
        f"{_count(count, 'image')} held out for validation, so one image is {1 / count:.1%}, and an error of 10 % has "
        f"a standard error of {chance:.1%}: which network is the best, and when, is partly chance. More images, or "
        f"several seeds, tell more."
    ]


def _names(images: Images, indices: Sequence[int] | npt.NDArray[np.int64]) -> list[str]:
    names = images.names
    return [f"number {index}" if names is None else names[index] for index in map(int, indices)]


def _count(number: int, what: str) -> str:
    return f"1 {what} is" if number == 1 else f"{number:,} {what}s are"
