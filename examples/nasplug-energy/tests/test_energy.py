"""Energies by hand, and as the sum of layers."""

from __future__ import annotations

from random import Random

import pytest
from nasplug_energy.energy import Energy
from torch import nn

from nasplug.parts import CostModel
from nasplug.testing.toy import Toy
from nasplug.values import ImageShape


def test_a_convolution_costs_its_products_and_what_it_moves():
    # 8x8 pixels of 4 channels, each the sum of 3*3*2 products; weights 4*2*9 and 4 biases; maps 2*8*8 and 4*8*8.
    net = nn.Conv2d(2, 4, 3, padding=1).eval()
    macs, values = 64 * 4 * 18, 4 * 18 + 4 + 128 + 256

    assert Energy(pj_per_byte=0).cost(net, (2, 8, 8)) == pytest.approx(4.6e-12 * macs)
    assert Energy(pj_per_mac=0, bytes_per_value=1).cost(net, (2, 8, 8)) == pytest.approx(12.5e-12 * values)
    assert Energy().cost(net, (2, 8, 8)) == pytest.approx(4.6e-12 * macs + 12.5e-12 * 4 * values)


def test_groups_and_strides_save_what_they_leave_out():
    dense, depthwise, strided = (
        nn.Conv2d(8, 8, 3, stride, 1, groups=groups, bias=False).eval() for stride, groups in ((1, 1), (1, 8), (2, 1))
    )
    computing = Energy(pj_per_byte=0)
    whole = computing.cost(dense, (8, 8, 8))

    assert computing.cost(depthwise, (8, 8, 8)) == pytest.approx(whole / 8)
    assert computing.cost(strided, (8, 8, 8)) == pytest.approx(whole / 4)


def test_without_what_is_moved_it_is_macs():
    space, shape = Toy(channels=6), ImageShape(channels=2, size=12, classes=3)
    for seed in range(3):
        genotype = space.random(Random(seed))
        net = space.network(genotype, shape).eval()
        macs = space.cost(genotype, shape).macs
        assert Energy(pj_per_mac=1, pj_per_byte=0).cost(net, (2, 12, 12)) == pytest.approx(1e-12 * macs)


def test_the_layers_of_a_network_cost_what_it_costs():
    space, shape = Toy(channels=6), ImageShape(channels=2, size=12, classes=3)
    model = CostModel(space, shape, {"energy": Energy()})
    for seed in range(3):
        genotype = space.random(Random(seed))
        net = space.network(genotype, shape).eval()
        assert model.costs(genotype)["energy"] == pytest.approx(Energy().cost(net, (2, 12, 12)))


def test_amounts_are_written_with_prefixes():
    unit = Energy().unit
    assert unit.format(8.4e-6) == "8.40 uJ"
    assert unit.format(0.0021) == "2.10 mJ"
    assert unit.parse("5uJ") == pytest.approx(5e-6)
    assert unit.parse("2mJ") == pytest.approx(2e-3)
