from __future__ import annotations

import pytest
import torch
from nasplug_dna.frozen_teacher import FrozenTeacher, freeze, tap_features
from torch import Tensor, nn

from nasplug.errors import InputError
from nasplug.parts import Network, Outputs
from nasplug.values import ImageShape, MapShape


class Small(Network):
    """Two taps; a dropout and two batch norms on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.Dropout(0.5))
        self.second = nn.Sequential(nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6))

    def outputs(self, images: Tensor) -> Outputs:
        first = self.first(images)
        second = self.second(first)
        return Outputs(second.mean((2, 3)), (first, second))


def frozen_teacher(network: Network, mode: str, resolution: int = 0) -> FrozenTeacher:
    norms = freeze(network, mode)
    return FrozenTeacher(tap_features(network), resolution, norms)


def test_batch_statistics_normalise_every_batch_and_change_nothing() -> None:
    torch.manual_seed(0)
    network, images = Small().train(), 5 + 3 * torch.randn(6, 3, 8, 8)
    teacher = frozen_teacher(network, "batch")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first, second = teacher(images, 1)
    for maps in (first, second):
        torch.testing.assert_close(maps.mean((0, 2, 3)), torch.zeros(maps.shape[1]), atol=1e-5, rtol=0)
        torch.testing.assert_close(maps.var((0, 2, 3), correction=0), torch.ones(maps.shape[1]), atol=1e-3, rtol=0)
    assert not first.requires_grad
    assert not network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(teacher(images, 1)[1], second)


def test_in_eval_mode_it_uses_its_running_statistics() -> None:
    torch.manual_seed(0)
    network, images = Small().train(), 5 + 3 * torch.randn(6, 3, 8, 8)
    network.outputs(images)  # updates the running statistics
    first, _ = frozen_teacher(network, "eval")(images, 1)
    torch.testing.assert_close(first, network.eval().outputs(images).taps[0])
    alone, _ = frozen_teacher(network, "eval")(images[:1], 1)
    torch.testing.assert_close(alone[0], first[0])


@pytest.mark.parametrize("count", [1, 3])
def test_measured_statistics_are_those_of_the_training_images(count: int) -> None:
    torch.manual_seed(0)
    network, released = Small().double(), Small().double()
    released.load_state_dict(network.state_dict())
    calibration = [3 * torch.randn(6, 3, 8, 8).double() + number for number in range(count)]
    images = torch.randn(5, 3, 8, 8).double()
    teacher = frozen_teacher(network, "measured")

    features, statistics = teacher.measure(calibration, 1)
    rated = teacher(images, 1, statistics)

    # The released code: norms in training mode on the training images, then in eval mode. Dropout is off throughout.
    released.eval().requires_grad_(False)
    norms = [module for module in released.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0 if count == 1 else None
        norm.train()
    expected = [released.outputs(batch).taps for batch in calibration]
    released.eval()
    torch.testing.assert_close([list(maps) for maps in features], [list(maps) for maps in expected], rtol=0, atol=0)
    torch.testing.assert_close(list(rated), list(released.outputs(images).taps), rtol=1e-13, atol=1e-13)
    assert not network.training
    plain, unmeasured = teacher(images, 1), frozen_teacher(network, "batch")(images, 1)
    assert torch.equal(plain[1], unmeasured[1])  # training goes on with those of the batch
    assert not torch.allclose(plain[1], rated[1], atol=0.1)


def test_images_are_resized_for_the_teacher_alone() -> None:
    seen: list[Tensor] = []

    def features(images: Tensor, last: int) -> tuple[Tensor, ...]:
        seen.append(images)
        return (images,)

    images = torch.randn(2, 3, 8, 8)
    FrozenTeacher(features)(images, 0)
    FrozenTeacher(features, resolution=4)(images, 0)
    FrozenTeacher(features, resolution=8)(images, 0)
    assert [images.shape[-1] for images in seen] == [8, 4, 8]
    assert torch.equal(seen[2], images)
    torch.testing.assert_close(seen[1].mean(), images.mean(), atol=0.05, rtol=0)


def test_shapes_are_those_of_the_features() -> None:
    shape, cpu = ImageShape(3, 8, 5), torch.device("cpu")
    assert frozen_teacher(Small(), "batch").shapes(shape, 2, cpu) == (MapShape(4, 4), MapShape(6, 4))
    assert frozen_teacher(Small(), "eval", resolution=16).shapes(shape, 2, cpu) == (MapShape(4, 8), MapShape(6, 8))


def test_networks_without_usable_features_are_refused() -> None:
    shape, cpu = ImageShape(3, 8, 5), torch.device("cpu")
    with pytest.raises(InputError, match=r"cannot read images of 8 pixels.*resolution"):
        FrozenTeacher(lambda images, last: [nn.Conv2d(3, 3, 9)(images)]).shapes(shape, 1, cpu)
    with pytest.raises(InputError, match=r"Tap 0.*\(2, 3, 8\).*teacher.taps"):
        FrozenTeacher(lambda images, last: [images.mean(-1)]).shapes(shape, 1, cpu)
