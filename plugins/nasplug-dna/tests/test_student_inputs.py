"""What blocks read that learn from the student's own features, where its batch norms are torch's."""

from __future__ import annotations

import copy
from random import Random
from typing import cast

import pytest
import torch
from nasplug_dna.blockwise import Blockwise
from nasplug_dna.stage import BlockRater, BlockStage, sample_one_of_each
from torch import nn

from nasplug import Choose, space_from
from nasplug.builtin.optimizers.single_path import SinglePath
from nasplug.parts import Batch, Rater, SearchSpace, Supernet
from nasplug.supernets import PathRating
from nasplug.values import Genotype, ImageShape

SHAPE = ImageShape(1, 8, 3)


def layer(inputs: int, outputs: int, kernel: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.BatchNorm2d(outputs), nn.ReLU())


def staged(image_channels: int, classes: int, channels: int = 4) -> nn.Module:
    widths = (image_channels, channels, channels)
    places = [Choose({"a": layer(width, channels, 3), "b": layer(width, channels, 1)}) for width in widths]
    return nn.Sequential(*places, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def batch(seed: int) -> Batch:
    """Images far from the statistics that norms begin with."""
    images = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Batch(3 * images + 1, torch.zeros(8, dtype=torch.long))


@pytest.fixture
def space() -> SearchSpace:
    return cast("SearchSpace", space_from(staged)())


@pytest.fixture
def net(space: SearchSpace) -> Supernet:
    """As training leaves it: its norms have running averages."""
    torch.manual_seed(0)
    net = space.supernet(SHAPE).double()
    net.choices.relaxation = SinglePath().relax
    with torch.no_grad():
        for step in range(6):
            with net.choices.only(sample_one_of_each(net.choices, Random(step))):
                net.train()(batch(step).images)
    assert len(net.blocks()) == 3
    return net


def raters(space: SearchSpace, net: Supernet) -> list[Rater]:
    torch.manual_seed(1)
    teacher = space.network(space.random(Random(0)), SHAPE)
    stages = Blockwise(block_input="student").stages(net.float(), SHAPE, teacher)
    net.double(), teacher.double()
    return [rater for stage in stages for rater in cast("BlockStage", stage.double()).raters(net)]


@pytest.mark.parametrize("number", [1, 2])
def test_blocks_before_the_rated_one_normalise_by_the_batch_as_in_training(
    space: SearchSpace, net: Supernet, number: int
) -> None:
    training, rater, images = copy.deepcopy(net).train(), raters(space, net)[number], batch(9)
    expected = images.images
    with torch.no_grad(), training.choices.only(sample_one_of_each(net.choices, Random(number))):
        for block, other in zip(training.blocks()[:number], raters(space, training)[:number], strict=True):
            expected = block(cast("BlockRater", other)._setup.bridges[other.block].enter(expected))
        (expected,) = cast("BlockRater", rater)._setup.bridges[number].enter(expected)
    net.eval()
    (found,) = rater.inputs(images)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    assert not any(module.training for module in net.modules())


def test_ratings_after_a_resume_are_those_of_one_go(space: SearchSpace, net: Supernet) -> None:
    state = copy.deepcopy(net.state_dict())

    def ratings(*numbers: int) -> dict[tuple[int, Genotype], float]:
        """Of these blocks, by a search that has just loaded its supernet."""
        net.load_state_dict(state)
        made = raters(space, net)
        return {
            (number, rated.path): rated.rating
            for number in numbers
            for rated in PathRating(net, space, made[number], [batch(7)], [batch(8)]).rate(
                space.paths(number).enumerate()
            )
        }

    assert ratings(0, 1, 2) == ratings(0) | ratings(1) | ratings(2) == ratings(0, 1) | ratings(2)
