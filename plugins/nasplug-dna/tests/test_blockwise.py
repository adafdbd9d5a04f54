from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from nasplug_dna.blockwise import Blockwise, count_blocks, count_cells
from torch import nn

from nasplug import Choose, space_from
from nasplug.builtin.darts import Darts
from nasplug.builtin.mbconv import MBConvSpace
from nasplug.errors import InputError
from nasplug.parts import Network, Supernet
from nasplug.values import ImageShape, StepClock, Update

SHAPE = ImageShape(1, 8, 5)


def test_blocks_are_counted_as_the_supernet_has_them(space: Darts, net: Supernet) -> None:
    assert count_blocks(space) == len(net.blocks()) == 3


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"rates": (1.0, 0.4)}, r"'rates'.*2 values.*3 blocks.*teacher.rates=\[\]"),
        ({"block_weights": (1.0,)}, r"'block_weights'.*1 values.*3 blocks"),
        ({"weights": "w.pth"}, r"'weights'.*teacher.model"),
        ({"taps": ("layer1",)}, r"'taps'.*teacher.model"),
        ({"model": "resnet18"}, r"'resnet18' needs weights.*teacher.weights=FILE"),
        ({"model": "resnet18", "weights": "missing.pth"}, r"no file of weights 'missing.pth'"),
        ({"model": "resnet18", "weights": "random", "taps": ("layer1",)}, r"1 nodes of 'resnet18'.*3 blocks"),
        ({"model": "resnet18", "weights": "random", "taps": ("layer1", "layer2", "layer9")}, r"'resnet18'.*layer9"),
        ({"model": "resnet-18", "weights": "random"}, r"Did you mean 'resnet18'"),
    ],
)
def test_options_that_do_not_fit_are_refused(space: Darts, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Blockwise(**options).check(space)


def test_a_network_of_fewer_stages_than_blocks_is_refused(space: Darts) -> None:
    class Deep(Darts):
        def choice_list(self) -> Any:
            return Darts(topology="per-cell", cells=3, nodes=2).choice_list()[:-1] + tuple(
                type(choice)(name=choice.name, candidates=choice.candidates, blocks=(5,))
                for choice in Darts(topology="per-cell", cells=3, nodes=2).choice_list()[-1:]
            )

    with pytest.raises(InputError, match=r"6 blocks, but 'resnet18' has 4 stages"):
        Blockwise(model="resnet18", weights="random").check(Deep())
    with pytest.raises(InputError, match=r"6 blocks, but its networks are compared at 3 places"):
        Blockwise().check(Deep(topology="per-cell", cells=8))


def in_a_row(image_channels: int, classes: int) -> nn.Module:
    def stage(inputs: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(inputs, 4, 1), Choose({"a": nn.Identity(), "b": nn.Conv2d(4, 4, 1)}))

    return nn.Sequential(stage(image_channels), stage(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))


def in_one_piece(image_channels: int, classes: int) -> nn.Module:
    net = in_a_row(image_channels, classes)
    return nn.Sequential(nn.Conv2d(image_channels, image_channels, 1), nn.Sequential(net[0]), *net[2:])


def test_a_network_of_ones_own_needs_stages_in_a_row() -> None:
    rows = space_from(in_a_row)()
    Blockwise().check(rows)
    request = Blockwise().network(rows, Random(0))
    assert request is not None
    assert request[0] == rows  # it has no widths
    with pytest.raises(InputError, match=r"the space 'in_one_piece' is a single block that gives logits"):
        Blockwise().check(space_from(in_one_piece)())


def test_options_that_fit_pass(space: Darts, tmp_path: Path) -> None:
    (tmp_path / "w.pth").touch()
    Blockwise(rates=(1.0, 2.0, 3.0), block_weights=(1.0, 2.0, 3.0)).check(space)
    Blockwise(model="resnet18", weights=str(tmp_path / "w.pth")).check(space)


def test_every_cell_of_a_block_may_have_all_epochs() -> None:
    space = MBConvSpace(blocks=("s1 1x4 2x4 1x6", "s2 1x8", "s2 1x8 2x8"), kernels=(3,), channels=4)
    net, teacher = space.supernet(SHAPE), space.network(space.random(Random(0)), SHAPE)
    for epochs_per, lengths in (("cell", [3, 1, 2]), ("block", [1, 1, 1])):
        assert [stage.length for stage in Blockwise(epochs_per=epochs_per).stages(net, SHAPE, teacher)] == lengths
    assert count_cells(Darts(topology="per-cell").choice_list()) == {}
    with pytest.raises(InputError, match=r"epochs_per=cell needs teacher.order=one-by-one"):
        Blockwise(epochs_per="cell", order="together").check(space)


def test_the_teacher_trained_first_is_wide_and_large(space: Darts) -> None:
    request = Blockwise(channel_factor=1.5).network(space, Random(0))
    assert request is not None
    wide, genotype = request
    assert wide.size()["channels"] == 6
    wide.check(genotype)
    params = [wide.cost(wide.random(Random(seed)), SHAPE).params for seed in range(20)]
    assert wide.cost(genotype, SHAPE).params >= max(params)
    assert Blockwise(channel_factor=1.5).network(space, Random(0)) == request
    assert Blockwise(model="resnet18", weights="random").network(space, Random(0)) is None


def test_a_teacher_that_cannot_be_compared_is_refused(net: Supernet, space: Darts) -> None:
    net.float()
    with pytest.raises(InputError, match="there is none"):
        Blockwise().stages(net, SHAPE, None)
    single = Darts(topology="per-cell", cells=1, nodes=2, channels=4)
    other = single.network(single.random(Random(0)), SHAPE)
    with pytest.raises(InputError, match=r"3 blocks, but.*at 1 places"):
        Blockwise().stages(net, SHAPE, other)


def test_a_library_network_guides_grey_images(net: Supernet, batches: Any) -> None:
    torch.manual_seed(0)
    net.float()
    stages = Blockwise(model="mobilenet_v3_small", weights="random", resolution=32).stages(net, SHAPE, None)
    batch = type(batches[0])(batches[0].images.float(), batches[0].labels)
    now, update = StepClock(1, 1).at(0), Update("train", moves_weights=True, moves_alpha=True)
    losses = [stage(net, batch, update, now) for stage in stages]
    assert all(loss.isfinite() and loss.requires_grad for loss in losses)
    with pytest.raises(InputError, match=r"cannot read images of 8 pixels.*teacher.resolution"):
        Blockwise(model="vgg11", weights="random").stages(net, SHAPE, None)


def test_without_adaptors_a_teacher_of_other_widths_is_refused(net: Supernet, space: Darts) -> None:
    net.float()
    wide = space.scaled(channels=6)
    with pytest.raises(InputError, match=r"adaptors='never'.*output of block 0 8 channels meet 12"):
        Blockwise(adaptors="never").stages(net, SHAPE, wide.network(wide.random(Random(0)), SHAPE))
    # Where the first reduction reads the stem, its inputs have two widths, which no teacher has.
    same: Network = space.network(space.random(Random(0)), SHAPE)
    with pytest.raises(InputError, match=r"input of block 1 8 channels meet 12.*teacher.adaptors=auto"):
        Blockwise(adaptors="never").stages(net, SHAPE, same)
