"""Checks of cost measures: costs are finite amounts, the same each time, and add up where that is said."""

from __future__ import annotations

import math
from random import Random

import torch
from torch import nn

from nasplug.errors import InputError
from nasplug.parts import CostMeasure
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.outcome import Failed, NotApplicable, require
from nasplug.testing.toy import Toy
from nasplug.values import ImageShape
from nasplug.values.options import build

SHAPE = (3, 12, 12)


@check("cost")
def costs_are_finite_amounts(case: Case) -> None:
    """What a network or one of its layers costs is a finite number of at least 0.

    A budget is compared with it: NaN is within no budget and beyond none.
    """
    measure = _measure(case)
    for name, net, shape in (("a network", _network(4), SHAPE), ("a layer", _layers()[0], SHAPE)):
        cost = measure.cost(net, shape)
        require(
            isinstance(cost, int | float) and math.isfinite(cost) and cost >= 0,
            f"{name} costs {cost!r:.60}",
            "return a finite number of at least 0",
        )


@check("cost")
def leaves_the_network_as_it_was(case: Case) -> None:
    """Weights, statistics and modes of a network are the same after its cost was computed.

    The same network is tested and exported afterwards.
    """
    net = _network(4)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    _measure(case).cost(net, SHAPE)
    after = net.state_dict()
    changed = [name for name in before if name not in after or not torch.equal(before[name], after[name])]
    require(not changed and after.keys() == before.keys(), f"it changes {(changed or ['names'])[0]}", "work on a copy")
    require(not any(module.training for module in net.modules()), "it puts the network into training mode", "do not")


@check("cost")
def costs_the_same_each_time(case: Case) -> None:
    """A cost that is a function of the network alone is the same for a second network of the same architecture.

    Otherwise a network within its budget in one command is refused by the next.
    """
    measure = _measure(case)
    if measure.measured:
        raise NotApplicable("it is measured")
    first, again = measure.cost(_network(4), SHAPE), measure.cost(_network(4), SHAPE)
    require(first == again, f"the same architecture costs {first}, then {again}", "or say measured = True")


@check("cost")
def costs_of_layers_add_up(case: Case) -> None:
    """Two layers one after the other cost the sum of their costs, where the measure says `additive`.

    The exact search under a budget adds up what the blocks of a network cost.
    """
    measure = _measure(case)
    if not measure.additive or measure.measured:
        raise NotApplicable("its costs do not add up" if not measure.additive else "it is measured")
    layers = _layers()
    shapes = [SHAPE, (8, 12, 12)]
    parts = [measure.cost(layer, shape) for layer, shape in zip(layers, shapes, strict=True)]
    whole = measure.cost(nn.Sequential(*layers).eval(), SHAPE)
    require(
        math.isclose(whole, sum(parts), rel_tol=1e-6, abs_tol=1e-6),
        f"layers that cost {parts[0]:g} and {parts[1]:g} cost {whole:g} together",
        "or say additive = False",
    )


@check("cost")
def reads_the_amounts_that_it_prints(case: Case) -> None:
    """An amount that is printed in the measure's unit can be given as a budget.

    Users copy costs from a table to the command line.
    """
    measure = _measure(case)
    for amount in (1.0, 42.0, 65536.0, 12501632.0):
        text = measure.unit.format(amount)
        try:
            value = measure.unit.parse(text)
        except InputError as error:
            raise Failed(f"'{text}' is not understood: {error}", "give the unit a symbol that can be typed") from error
        found = f"{amount:g} is printed as '{text}', which is read as {value:g}"
        require(math.isclose(value, amount, rel_tol=0.05), found, "leave reading and printing to nasplug.values.Unit")


def _measure(case: Case) -> CostMeasure:
    measure: CostMeasure = build(case.target, case.options.get(case.title, {}), case.title)
    return measure


def _network(channels: int) -> nn.Module:
    torch.manual_seed(0)
    space = Toy(channels=channels)
    return space.network(space.random(Random(0)), ImageShape(channels=3, size=12, classes=5)).eval()


def _layers() -> list[nn.Module]:
    torch.manual_seed(0)
    return [nn.Conv2d(3, 8, 3, padding=1).eval(), nn.Conv2d(8, 4, 1).eval()]
