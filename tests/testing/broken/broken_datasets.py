"""Data sets, each of which breaks the check that it is named after, and no other."""

from __future__ import annotations

import itertools

import attrs
import numpy as np

from nasplug.data import MemoryImages
from nasplug.errors import InputError
from nasplug.hookspecs import hookimpl
from nasplug.parts import DataSource
from nasplug.testing.toy import stripes

LOADS = itertools.count()


@attrs.define
class Stripes(DataSource):
    def load(self, location, root, download):
        if location:
            raise InputError(f"There is no place '{location}'; leave it out.")
        return self.change(stripes(40))

    def change(self, data):
        return data


@attrs.define
class OtherSize(Stripes):
    def change(self, data):
        return attrs.evolve(data, size=data.size + 1)


@attrs.define
class OtherValues(Stripes):
    """Bytes that are declared as numbers from 0 to 1."""

    def change(self, data):
        return attrs.evolve(data, dtype="float32")


@attrs.define
class TwoOfOneName(Stripes):
    def change(self, data):
        return attrs.evolve(data, classes=("level", "level", "upright", "both"))


@attrs.define
class OtherOrder(Stripes):
    def change(self, data):
        order = np.random.default_rng(next(LOADS)).permutation(len(data.train))
        return attrs.evolve(data, train=MemoryImages(data.train.pixels[order], data.train.labels[order]))


class NamedAlike(MemoryImages):
    @property
    def names(self):
        return ("photo.png",) * len(self)


@attrs.define
class OneName(Stripes):
    def change(self, data):
        return attrs.evolve(data, train=NamedAlike(data.train.pixels, data.train.labels))


class CroppedAtRandom(MemoryImages):
    has_originals = True

    def read_crops(self, indices, boxes):
        return self.read(indices).roll(next(LOADS), 3)


@attrs.define
class OtherCrops(Stripes):
    def change(self, data):
        return attrs.evolve(data, train=CroppedAtRandom(data.train.pixels, data.train.labels))


@attrs.define
class TestsOnTraining(Stripes):
    def change(self, data):
        return attrs.evolve(data, test=MemoryImages(data.train.pixels[-8:], data.train.labels[-8:]))


@attrs.define
class OneTwiceForValidation(Stripes):
    def change(self, data):
        return attrs.evolve(data, validation=np.array([0, 1, 1]))


@attrs.define
class OneImage(Stripes):
    """The same image, again and again."""

    def change(self, data):
        return attrs.evolve(data, train=MemoryImages(data.train.pixels[:1].expand(40, -1, -1, -1), data.train.labels))


@attrs.define
class Anywhere(Stripes):
    def load(self, location, root, download):
        return stripes(40)


@hookimpl
def nasplug_register(register):
    for name, target in {
        "images-have-the-form-they-declare": "OtherSize",
        "images-have-the-form-they-declare.values": "OtherValues",
        "labels-name-its-classes": "TwoOfOneName",
        "reads-the-same-twice": "OtherOrder",
        "names-tell-its-images-apart": "OneName",
        "crops-follow-from-their-boxes": "OtherCrops",
        "test-images-are-not-trained-on": "TestsOnTraining",
        "validation-images-are-some-of-those-for-training": "OneTwiceForValidation",
        "batches-differ-between-steps": "OneImage",
        "refuses-a-place-that-is-not-there": "Anywhere",
    }.items():
        register.dataset(name, f"broken_datasets:{target}", summary=f"Breaks {name}.")
