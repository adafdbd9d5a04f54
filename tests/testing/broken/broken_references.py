"""Reference networks, each of which breaks the check that it is named after, and no other."""

from __future__ import annotations

import itertools

import attrs
import torch
from torch import nn

from nasplug.hookspecs import hookimpl
from nasplug.parts import Network, Outputs, ReferenceNetwork, option

CALLS = itertools.count(1)


class Net(Network):
    def __init__(self, shape, channels, idle=0):
        super().__init__()
        self.convolution = nn.Conv2d(shape.channels, channels, 3, padding=1)
        self.classifier = nn.Linear(channels, shape.classes)
        if idle:
            self.idle = nn.Parameter(torch.zeros(idle))

    def outputs(self, images):
        maps = self.convolution(images).relu()
        return Outputs(self.classifier(maps.mean((2, 3))), (maps,))


@attrs.frozen
class Small(ReferenceNetwork):
    width: float = option(1.0, "factor of the channels", above=0)

    def network(self, shape):
        return Net(shape, self.channels())

    def channels(self):
        return max(1, round(16 * self.width))

    def scaled(self, width):
        return attrs.evolve(self, width=width)

    def widths(self):
        return [0.125, 0.25, 0.5, 1.0, 2.0]


@attrs.frozen
class ForColourImages(Small):
    def network(self, shape):
        net = super().network(shape)
        net.convolution = nn.Conv2d(3, self.channels(), 3, padding=1)
        return net


@attrs.frozen
class Multiplying(Small):
    def scaled(self, width):
        return attrs.evolve(self, width=self.width * width)


@attrs.frozen
class OneSize(Small):
    def channels(self):
        return 4


@attrs.frozen
class Forgetful(Small):
    def size(self):
        return {}


@attrs.frozen
class OtherEachTime(Small):
    def network(self, shape):
        net = super().network(shape)
        with torch.no_grad():
            net.classifier.bias.fill_(next(CALLS))
        return net


@attrs.frozen
class Idle(Small):
    def network(self, shape):
        return Net(shape, self.channels(), idle=3)


@attrs.frozen
class Lopsided(Small):
    def normalisation(self):
        return (0.5, 0.5, 0.5), (0.25,)


@hookimpl
def nasplug_register(register):
    for name, target in {
        "takes-images-of-any-form": "ForColourImages",
        "widths-ascend": "Multiplying",
        "grows-with-its-width": "OneSize",
        "size-describes-the-network": "Forgetful",
        "has-the-same-initial-weights-for-a-seed": "OtherEachTime",
        "trains-all-its-parameters": "Idle",
        "says-for-which-images-its-weights-are": "Lopsided",
    }.items():
        register.reference(name, f"broken_references:{target}", summary=f"Breaks {name}.")
