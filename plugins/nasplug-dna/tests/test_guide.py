from __future__ import annotations

import pytest
import torch
from nasplug_dna.guide import Guide, features_of, freeze
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
        one = self.first(images)
        two = self.second(one)
        return Outputs(two.mean((2, 3)), (one, two))


def guide(network: Network, mode: str, **options: int) -> Guide:
    freeze(network, mode)
    return Guide(features_of(network), **options)


def test_batch_statistics_normalise_every_batch_and_change_nothing() -> None:
    torch.manual_seed(0)
    network, images = Small().train(), 5 + 3 * torch.randn(6, 3, 8, 8)
    found = guide(network, "batch")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    one, two = found(images, 1)
    for each in (one, two):
        torch.testing.assert_close(each.mean((0, 2, 3)), torch.zeros(each.shape[1]), atol=1e-5, rtol=0)
        torch.testing.assert_close(each.var((0, 2, 3), correction=0), torch.ones(each.shape[1]), atol=1e-3, rtol=0)
    assert not one.requires_grad
    assert not network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(found(images, 1)[1], two)


def test_in_the_mode_eval_its_own_statistics_count() -> None:
    torch.manual_seed(0)
    network, images = Small().train(), 5 + 3 * torch.randn(6, 3, 8, 8)
    network.outputs(images)  # takes statistics up
    one, _ = guide(network, "eval")(images, 1)
    torch.testing.assert_close(one, network.eval().outputs(images).taps[0])
    alone, _ = guide(network, "eval")(images[:1], 1)
    torch.testing.assert_close(alone[0], one[0])


def test_images_are_resized_for_the_teacher_alone() -> None:
    seen: list[Tensor] = []

    def features(images: Tensor, last: int) -> tuple[Tensor, ...]:
        seen.append(images)
        return (images,)

    images = torch.randn(2, 3, 8, 8)
    Guide(features)(images, 0)
    Guide(features, resolution=4)(images, 0)
    Guide(features, resolution=8)(images, 0)
    assert [each.shape[-1] for each in seen] == [8, 4, 8]
    assert torch.equal(seen[2], images)
    torch.testing.assert_close(seen[1].mean(), images.mean(), atol=0.05, rtol=0)


def test_shapes_are_those_of_the_features() -> None:
    shape, cpu = ImageShape(3, 8, 5), torch.device("cpu")
    assert guide(Small(), "batch").shapes(shape, 2, cpu) == (MapShape(4, 4), MapShape(6, 4))
    assert guide(Small(), "eval", resolution=16).shapes(shape, 2, cpu) == (MapShape(4, 8), MapShape(6, 8))


def test_what_cannot_guide_is_refused() -> None:
    shape, cpu = ImageShape(3, 8, 5), torch.device("cpu")
    with pytest.raises(InputError, match=r"cannot read images of 8 pixels.*resolution"):
        Guide(lambda images, last: [nn.Conv2d(3, 3, 9)(images)]).shapes(shape, 1, cpu)
    with pytest.raises(InputError, match=r"Tap 0.*\(2, 3, 8\).*teacher.taps"):
        Guide(lambda images, last: [images.mean(-1)]).shapes(shape, 1, cpu)
