"""Which maps of a network lie on its trunk, and networks that give them as taps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from nasplug.engine.trunk import TappedNetwork, TrunkMap, find_trunk_maps
from nasplug.parts import Network, Outputs
from nasplug.values import ImageShape

SHAPE = ImageShape(3, 16, 5)


class Inverted(nn.Module):
    """Expansion, stride and projection, with squeeze and excitation between: a block as in MobileNetV3."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(4, 8, 1), nn.ReLU())
        self.deep = nn.Conv2d(8, 8, 3, stride, padding=1)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Sigmoid())
        self.project = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.deep(self.expand(x))
        projected: Tensor = self.project(y * self.gate(y))
        return projected


class Small(Network):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, padding=1)
        self.act = nn.ReLU()
        self.blocks = nn.Sequential(Inverted(1), nn.Sequential(Inverted(2), Inverted(1)), Inverted(2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(4, 5)

    def outputs(self, images: Tensor) -> Outputs:
        x = self.act(self.blocks(self.act(self.stem(images))))
        return Outputs(self.classifier(self.pool(x).flatten(1)), ())


class Wrapped(Network):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def outputs(self, images: Tensor) -> Outputs:
        return Outputs(self.net(images), ())


def test_blocks_are_taken_whole_and_pooled_features_are_no_maps() -> None:
    net = Small().train()
    assert find_trunk_maps(net, SHAPE) == [
        TrunkMap("stem", 0, 8),
        TrunkMap("act", 0, 8),
        TrunkMap("blocks.0", 0, 8),
        TrunkMap("blocks.1.0", 0, 4),
        TrunkMap("blocks.1.1", 0, 4),
        TrunkMap("blocks.2", 0, 2),
        TrunkMap("act", 1, 2),  # the second of its two calls
    ]
    assert net.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_taps_are_what_the_modules_compute_and_logits_stay() -> None:
    torch.manual_seed(0)
    net, images = Small().eval(), torch.randn(3, 3, 16, 16)
    tapped = TappedNetwork(net, [TrunkMap("act", 1, 2), TrunkMap("blocks.1.0", 0, 4), TrunkMap("act", 0, 8)])
    with torch.no_grad():
        out = tapped.outputs(images)
        first = net.act(net.stem(images))
        middle = net.blocks[1][0](net.blocks[0](first))
        last = net.act(net.blocks(first))
        assert torch.equal(out.logits, net(images))
    torch.testing.assert_close(list(out.taps), [last, middle, first])
    assert not any(module._forward_hooks for module in net.modules())


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("resnet18", {"relu": 16, "layer1.1": 8, "layer2.1": 4, "layer3.1": 2, "layer4.1": 1}),
        ("mobilenet_v3_small", {"features.0": 16, "features.1": 8, "features.3": 4, "features.8": 2}),
    ],
)
def test_the_last_maps_of_a_size_are_those_where_published_networks_end_their_stages(
    name: str, sizes: dict[str, int]
) -> None:
    torch.manual_seed(0)
    net = models.get_model(name, weights=None).eval()
    maps = find_trunk_maps(Wrapped(net), ImageShape(3, 32, 1000))
    last = {each.size: each for each in maps}
    assert {last[size].module: size for size in sizes.values()} == {f"net.{name}": sizes[name] for name in sizes}
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        taps = TappedNetwork(Wrapped(net), [last[size] for size in sizes.values()]).outputs(images).taps
        theirs = create_feature_extractor(net, list(sizes))(images)
    torch.testing.assert_close(list(taps), list(theirs.values()))


def test_a_network_without_maps_has_none() -> None:
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(8), nn.Flatten(), nn.Linear(192, 5))
    assert find_trunk_maps(Wrapped(pooled), SHAPE) == []
