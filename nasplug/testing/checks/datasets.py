"""Checks of data sets: images have the declared shape, classes exist, test images are not trained on."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from nasplug.data import BatchStream, make_splits
from nasplug.errors import InputError, quote
from nasplug.parts import ImageData, Images, RandomBoxes
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.outcome import Failed, NotApplicable, require
from nasplug.values import Training
from nasplug.values.options import build
from nasplug.values.shape import SCALES

LOCATION = "location"
"""Key among the options that an author gives for a data set: what would follow the colon of --data NAME:LOCATION."""
SAMPLED = 256
"""Number of images that are read, spread evenly over the data set."""


def loaded(case: Case) -> ImageData:
    """The data from the location that the author names; NotApplicable if they are not on this machine."""
    options = dict(case.options.get(case.title, {}))
    location = options.pop(LOCATION, "")
    try:
        data: ImageData = build(case.target, options, case.title).load(location, None, download=False)
    except InputError as error:
        raise NotApplicable(f"its images are not here: {str(error).rstrip('.')}") from error
    return data


def loaded_again(case: Case) -> ImageData:
    """The same data, loaded a second time."""
    return loaded(case)


@check("dataset")
def images_have_the_form_they_declare(case: Case) -> None:
    """Images are of the declared type, size and channels, and are read in the order of the indices.

    Networks are built for the declared shape, and augmentation expects whole numbers from 0 to 255; signals alone may
    be float32.
    """
    data = case.once(loaded)
    require(data.dtype in SCALES, f"dtype is '{data.dtype}'", f"declare {' or '.join(SCALES)}")
    kind = getattr(torch, data.dtype)
    for images in _sets(data):
        indices = _some(images)
        pixels = images.read(indices)
        expected = (len(indices), *data.tensor_shape)
        require(
            pixels.dtype == kind and tuple(pixels.shape) == expected,
            f"{len(indices)} images are {pixels.dtype} {tuple(pixels.shape)} instead of {kind} {expected}",
            f"read {data.dtype} (N, C, H, W), and declare size and channels as they are",
        )
        backwards = images.read(indices[::-1])
        require(
            torch.equal(pixels, backwards.flip(0)),
            "images come in another order than their indices",
            "read the images at the indices, in their order",
        )


@check("dataset")
def crops_follow_from_their_boxes(case: Case) -> None:
    """Crops of originals, where images have these, are of the form of the images and follow from index and box alone.

    Otherwise a run that is resumed would train on other crops than one that was not interrupted.
    """
    sets = [images for images in _sets(case.once(loaded)) if images.has_originals]
    if not sets:
        raise NotApplicable("its images have no originals")
    for images in sets:
        indices = _some(images)
        boxes = RandomBoxes.sample(len(indices), torch.Generator().manual_seed(0))
        crops, shape = images.read_crops(indices, boxes), images.read(indices).shape
        require(
            crops.dtype == torch.uint8 and crops.shape == shape,
            f"{len(indices)} crops are {crops.dtype} {tuple(crops.shape)} instead of torch.uint8 {tuple(shape)}",
            "scale the part inside each box to the size of the images",
        )
        backwards = [*reversed(range(len(indices)))]
        again = images.read_crops(indices[::-1], boxes[backwards])
        require(
            torch.equal(crops, again.flip(0)),
            "crops differ if they are read in another order",
            "take `boxes.fit(sizes)` as they are, one for each index, and draw no random numbers",
        )


@check("dataset")
def labels_name_its_classes(case: Case) -> None:
    """Labels are whole numbers from 0 and below the number of classes, and every class has training images.

    Targets of another task have the form that this asks for.

    A label out of range ends a run on a GPU with an error that names no image; a class without images is usually a
    misnamed folder.
    """
    data = case.once(loaded)
    names = data.classes
    if not data.task.has_classes:
        _check_form(data)
        return
    require(
        len(names) >= 2 and len(set(names)) == len(names),
        f"the classes are {names!r:.80}",
        "name at least two, each once",
    )
    for images in _sets(data):
        labels = np.asarray(images.labels)
        require(
            np.issubdtype(labels.dtype, np.integer) and labels.ndim == 1 and len(labels) > 0,
            f"labels are {labels.dtype} {labels.shape}",
            "give a one-dimensional array of whole numbers",
        )
        low, high = int(labels.min()), int(labels.max())
        require(
            low >= 0 and high < len(names),
            f"labels go from {low} to {high}, with {len(names)} classes",
            "number classes from 0",
        )
    absent = np.setdiff1d(np.arange(len(names)), data.train.labels)
    require(
        len(absent) == 0, f"no training image is of class '{names[absent[0]] if len(absent) else ''}'", "drop the class"
    )


@check("dataset")
def reads_the_same_twice(case: Case) -> None:
    """Loaded twice, a data set gives the same images and labels in the same order.

    Splits are stored as indices: with another order of the files they select other images when a run is resumed.
    """
    first, again = case.once(loaded), case.once(loaded_again)
    remedy = "sort the files on disk, and sample nothing at random"
    for before, after in zip(_sets(first), _sets(again), strict=True):
        require(np.array_equal(before.labels, after.labels), "labels come in another order the second time", remedy)
        indices = _some(before)
        require(torch.equal(before.read(indices), after.read(indices)), "other images are read the second time", remedy)


@check("dataset")
def names_tell_its_images_apart(case: Case) -> None:
    """If images have names, each image has one of its own; if they have digests, these are the same every time.

    A resumed run compares both with those it was started with, and says by name what has changed.
    """
    first, again = case.once(loaded), case.once(loaded_again)
    for before, after in zip(_sets(first), _sets(again), strict=True):
        names, indices = before.names, _some(before)
        if names is not None:
            require(
                len(names) == len(set(names)) == len(before),
                f"{len(before)} images have {len(names)} names, {len(set(names))} of them different",
                "name every image once, such as by the path of its file, or return None",
            )
        digests = before.digests(indices)
        require(
            digests == after.digests(indices) and (digests is None or len(digests) == len(indices)),
            f"{len(indices)} images have other digests the second time",
            "return one digest for each index, which depends on the content of the file only, or None",
        )


@check("dataset")
def test_images_are_not_trained_on(case: Case) -> None:
    """No test image is also a training image.

    An error rate on images that were trained on says nothing about new images.
    """
    data = case.once(loaded)
    if data.test is None:
        raise NotApplicable("it has no test images of its own")
    train, test = (_digests(images) for images in (data.train, data.test))
    shared = len(set(test) & set(train))
    require(shared == 0, f"{shared} of {len(test)} test images are training images", "remove them from one set")


@check("dataset")
def validation_images_are_some_of_those_for_training(case: Case) -> None:
    """Validation images of its own are given as different indices of its training images, of which others remain.

    An image that is in both splits makes networks look better than they are when one of them is chosen.
    """
    data = case.once(loaded)
    if data.validation is None:
        raise NotApplicable("it has no validation images of its own")
    indices, count = np.asarray(data.validation), len(data.train)
    whole = np.issubdtype(indices.dtype, np.integer) and indices.ndim == 1 and 0 < len(indices) < count
    require(
        whole and len(np.unique(indices)) == len(indices) and indices.min() >= 0 and indices.max() < count,
        f"its validation indices are {quote(indices.tolist())}, with {count} images",
        "give each index of a validation image within `train` once",
    )
    if not data.task.has_classes:
        return
    left = np.delete(np.asarray(data.train.labels), indices)
    absent = np.setdiff1d(np.arange(len(data.classes)), left)
    require(
        len(absent) == 0,
        f"all images of class '{data.classes[absent[0]] if len(absent) else ''}' are for validation",
        "leave some of each class for training",
    )


@check("dataset")
def batches_differ_between_steps(case: Case) -> None:
    """The data can be divided into splits, and batches of one split differ from step to step.

    With a data set that returns the same images for all indices, a search trains on a single batch
    (tinyml-tensorlab#15).
    """
    data = case.once(loaded)
    splits = make_splits(data, seed=0, validation=0.0)
    size = max(2, min(16, len(splits.train) // 2))
    stream = BatchStream(
        data.train,
        splits.train,
        training=Training(batch_size=size, augment="none"),
        mean=(0.5,) * data.channels,
        std=(0.25,) * data.channels,
        flips=data.flips,
        shift=data.shift,
        dims=data.dims,
        seed=0,
        phase="search",
        split="train",
        device=torch.device("cpu"),
    )
    first, second = stream.batch(0), stream.batch(1)
    require(
        first.images.shape != second.images.shape or not torch.equal(first.images, second.images),
        "the first two batches hold the same images",
        "read the images at the indices that are passed",
    )


@check("dataset")
def refuses_a_place_that_is_not_there(case: Case) -> None:
    """A location that does not exist, or that the data set does not accept, is refused with an InputError.

    If a mistyped path is ignored, the run trains on other data than the user meant.
    """
    options = {name: value for name, value in case.options.get(case.title, {}).items() if name != LOCATION}
    with TemporaryDirectory() as folder:
        remedy = "raise nasplug.errors.InputError, saying what was looked for and what would work"
        try:
            build(case.target, options, case.title).load(str(Path(folder) / "no-such-place"), None, download=False)
        except InputError:
            return
        except Exception as error:
            raise Failed(f"a place that does not exist raises {type(error).__name__}: {error}", remedy) from error
        raise Failed("a place that does not exist is accepted", remedy)


def _check_form(data: ImageData) -> None:
    for images in _sets(data):
        try:
            data.task.check(images.labels, data.classes, "the targets")
        except InputError as error:
            raise Failed(str(error), f"give them as nasplug.parts.{type(data.task).__name__} asks") from error


def _sets(data: ImageData) -> list[Images]:
    return [data.train] if data.test is None else [data.train, data.test]


def _some(images: Images) -> list[int]:
    return [int(index) for index in np.linspace(0, len(images) - 1, min(len(images), SAMPLED)).round()]


def _digests(images: Images) -> list[bytes]:
    """A digest of each image; all images are read, 512 at a time."""
    indices = range(len(images))
    batches = (images.read(list(indices[start : start + 512])) for start in range(0, len(images), 512))
    return [
        hashlib.sha1(image.numpy().tobytes(), usedforsecurity=False).digest()
        for pixels in batches
        for image in pixels.cpu()
    ]
