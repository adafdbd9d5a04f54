"""Cost measures, each of which breaks the check that it is named after, and no other."""

from __future__ import annotations

import itertools

import attrs
import torch

from nasplug.hookspecs import hookimpl
from nasplug.parts import CostMeasure
from nasplug.values import Unit

CALLS = itertools.count(1)


@attrs.frozen
class Count(CostMeasure):
    unit = Unit(whole=True)
    additive = True

    def cost(self, net, shape):
        return sum(parameter.numel() for parameter in net.parameters())


@attrs.frozen
class NotANumber(Count):
    additive = False
    measured = True

    def cost(self, net, shape):
        return float("nan")


@attrs.frozen
class Rounding(Count):
    def cost(self, net, shape):
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.round_()
        return super().cost(net, shape)


@attrs.frozen
class OtherEachTime(Count):
    additive = False

    def cost(self, net, shape):
        return float(next(CALLS))


@attrs.frozen
class Largest(Count):
    def cost(self, net, shape):
        return max((parameter.numel() for parameter in net.parameters()), default=0)


class Dozens(Unit):
    def parse(self, text):
        return 12 * super().parse(text)


@attrs.frozen
class InDozens(Count):
    unit = Dozens(whole=True)


@hookimpl
def nasplug_register(register):
    for name, target in {
        "costs-are-finite-amounts": "NotANumber",
        "leaves-the-network-as-it-was": "Rounding",
        "costs-the-same-each-time": "OtherEachTime",
        "costs-of-layers-add-up": "Largest",
        "reads-the-amounts-that-it-prints": "InDozens",
    }.items():
        register.cost(name, f"broken_costs:{target}", summary=f"Breaks {name}.")
