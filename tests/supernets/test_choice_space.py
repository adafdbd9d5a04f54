"""Spaces from a table of choices and one function: several picks at a place, and tables that their network is not."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace

import attrs
import pytest
import torch
from torch import nn

from nasplug.errors import InputError
from nasplug.parts import Choice, option
from nasplug.runs.retrain_size import scales
from nasplug.supernets import ChoiceSpace, Pick
from nasplug.values import ImageShape
from nasplug.values.recipe import SelectOptions

SHAPE = ImageShape(channels=2, size=6, classes=3)


@attrs.define
class Table(ChoiceSpace):
    """Two blocks of layers that add up one or two kernels each."""

    name = "table"

    channels: int = option(4, "channels", at_least=1)
    asked: tuple[str, ...] = option(("first", "second", "third"), "choices that the network asks for")
    numbers: tuple[int, ...] = option((0, 0, 1), "their blocks")

    def choice_list(self) -> tuple[Choice, ...]:
        names = ("first", "second", "third")
        return tuple(
            Choice(name, ("1", "3", "5"), at_most=2, blocks=(block,))
            for name, block in zip(names, self.numbers, strict=True)
        )

    def build(self, shape: ImageShape, pick: Pick) -> nn.Module:
        def layer(inputs: int, kernel: int) -> nn.Module:
            convolution = nn.Conv2d(inputs, self.channels, kernel, padding=kernel // 2)
            return nn.Sequential(convolution, nn.BatchNorm2d(self.channels), nn.Tanh())

        layers = [pick(name, lambda kernel: layer(self.channels, int(kernel))) for name in self.asked]
        head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(self.channels, shape.classes)
        return nn.Sequential(layer(shape.channels, 1), nn.Sequential(*layers[:2]), *layers[2:], *head)


def test_several_picks_are_added_up_as_in_the_supernet() -> None:
    space = Table()
    torch.manual_seed(0)
    net = space.supernet(SHAPE).double()
    net.choices.relaxation = lambda alpha, active: active.to(alpha)
    images = torch.randn(5, 2, 6, 6, dtype=torch.float64)
    sizes = set()
    for seed in range(8):
        genotype = space.random(Random(seed))
        sizes.update(len(held) for _, held in genotype.picks)
        network = space.network(genotype, SHAPE).double().train()
        assert space.cost(genotype, SHAPE).params == sum(each.numel() for each in network.parameters())
        weights = net.path_weights(genotype, network)
        assert weights.keys() == dict(network.named_parameters()).keys()
        network.load_state_dict(weights, strict=False)
        with net.choices.only(space.encode(genotype, net.choices)):
            ours, theirs = net.outputs(images), network.outputs(images)
        assert torch.allclose(ours.logits, theirs.logits, rtol=1e-12)
        assert len(ours.taps) == space.taps() == 2
        assert all(torch.allclose(*pair, rtol=1e-12) for pair in zip(ours.taps, theirs.taps, strict=True))
    assert sizes == {1, 2}


def test_blocks_are_those_of_the_table() -> None:
    net = Table().supernet(SHAPE)
    first, second = net.blocks()
    assert [layer.rows for layer in first.layers] == [(), (0,), (1,)]
    assert [layer.rows for layer in second.layers] == [(2,)]
    assert (first.inputs, second.inputs) == ((), (first.output,))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"asked": ("first", "second")}, r"lists the choices first, second, third, but .* has first, second"),
        ({"asked": ("first", "second", "fourth")}, "asks for the choice 'fourth', but choice_list has first, second"),
        ({"numbers": (0, 1, 2)}, "name 3 blocks, but its network does not consist of pieces"),
        ({"numbers": (1, 1, 0)}, "name 2 blocks, but its network does not consist of pieces"),
    ],
)
def test_a_table_that_its_network_is_not_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Table(**options).supernet(SHAPE)


@attrs.define
class OneSize(Table):
    """The same without a width."""

    def size(self) -> dict[str, int | str]:
        return {}


@pytest.mark.parametrize(("cls", "scaled"), [(Table, True), (OneSize, False)])
def test_a_budget_scales_networks_that_have_a_width(cls: type[Table], scaled: bool) -> None:
    recipe = SimpleNamespace(select=SelectOptions(), run=SimpleNamespace(table=""))
    context = SimpleNamespace(composition=SimpleNamespace(space=cls()), recipe=recipe)
    assert scales(context, {"params": 1000.0}) is scaled  # type: ignore[arg-type]
    assert scales(context, {}) is False  # type: ignore[arg-type]
