"""Networks designed by hand are in the space: they compute what independently written ones compute."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nasplug.builtin.compact import Compact
from nasplug.builtin.compact.operations import InvertedResidual, LayerOperation
from nasplug.builtin.compact.references import REFERENCES
from nasplug.values import Costs, ImageShape


def conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


class Basic(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *conv_norm(inputs, outputs, 3, stride), nn.ReLU(), *conv_norm(outputs, outputs, 3), nn.Identity()
        )
        self.side = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.main(x) + self.side(x))


def classifier(channels: int, classes: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]


def resnet8() -> nn.Module:
    blocks = [Basic(16, 16, 1), Basic(16, 32, 2), Basic(32, 64, 2)]
    return nn.Sequential(*conv_norm(3, 16, 3), nn.ReLU(), *blocks, *classifier(64, 10))


def plain() -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs, stride in [(3, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)]:
        layers += [*conv_norm(inputs, outputs, 3, stride), nn.ReLU()]
    return nn.Sequential(*layers, *classifier(64, 10))


def separable(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    deep = conv_norm(inputs, inputs, 3, stride, groups=inputs)
    return [*deep, nn.ReLU(), *conv_norm(inputs, outputs, 1), nn.ReLU()]


def ds_cnn() -> nn.Module:
    layers = [layer for _ in range(4) for layer in separable(64, 64)]
    return nn.Sequential(*conv_norm(3, 64, 3), nn.ReLU(), *layers, *classifier(64, 10))


def mobilenetv1(stem_stride: int = 1) -> nn.Module:
    """A quarter of the table of the paper (Howard et al., 2017, table 1)."""
    channels, layers = 8, [*conv_norm(3, 8, 3, stem_stride), nn.ReLU()]
    for outputs, stride in [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)]:
        layers += separable(channels, outputs, stride)
        channels = outputs
    return nn.Sequential(*layers, *classifier(256, 10))


def mobilenetv2() -> nn.Module:
    """torchvision's, with stride 1 in the stem and at 24 channels, as is customary for images of 32 pixels."""
    torchvision = pytest.importorskip("torchvision")
    net = torchvision.models.mobilenet_v2(num_classes=10)
    net.features[0][0].stride = (1, 1)
    net.features[2].conv[1][0].stride = (1, 1)
    return net


WRITTEN = {
    "plain": plain,
    "resnet8": resnet8,
    "ds-cnn": ds_cnn,
    "mobilenetv1": mobilenetv1,
    "mobilenetv2": mobilenetv2,
}
OPTIONS = {"mobilenetv2": {"activation": "relu6", "head": 1280}}
SHAPE = ImageShape(3, 32, 10)


def weighted(module: nn.Module) -> list[nn.Module]:
    """The layers with weights in the order of computation, a shortcut last."""
    if isinstance(module, InvertedResidual):
        first = [module.expand, module.expand_norm] if module.expand is not None else []
        return [*first, module.depthwise, module.depthwise_norm, module.project, module.norm]
    children = [weighted(child) for child in module.children()]
    return [layer for layers in children for layer in layers] or [module] * hasattr(module, "weight")


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_is_the_network_that_is_written_by_hand(name):
    torch.manual_seed(0)
    space = Compact(**OPTIONS.get(name, {}))
    genotype = space.parse(name)
    net, written = space.network(genotype, SHAPE).double(), WRITTEN[name]().double()
    for ours, theirs in zip(weighted(net), weighted(written), strict=True):
        assert type(theirs) is nn.Conv2d or isinstance(ours, type(theirs))
        with torch.no_grad():
            nn.init.normal_(theirs.weight, 0.0, 1 / theirs.weight[0].numel() ** 0.5)
        ours.load_state_dict(theirs.state_dict())
    images = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    written.eval()
    torch.testing.assert_close(net.eval()(images), written(images), rtol=1e-9, atol=1e-9)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        written(images[:1])
    params = sum(parameter.numel() for parameter in written.parameters())
    assert space.cost(genotype, SHAPE) == Costs(params=params, macs=counter.get_total_flops() // 2)


def test_published_costs():
    assert Compact().cost(Compact().parse("resnet8"), SHAPE) == Costs(params=77_850, macs=12_501_632)
    wide = Compact(**OPTIONS["mobilenetv2"])
    # torchvision: 3,504,872 parameters with 1000 classes; Sandler et al.: 300 M multiply-adds at 224 pixels.
    published = wide.parse(REFERENCES["mobilenetv2"].replace("24s1", "24s2"))
    cost = wide.cost(published, ImageShape(3, 224, 1000))
    assert cost.params == 3_504_872
    assert round(cost.macs / 1e6) in (300, 301)


def test_references_have_all_widths():
    space = Compact(operations=("all",))
    genotype = space.parse("resnet8")
    params = [space.scaled(channels=channels).cost(genotype, SHAPE).params for channels in range(1, 33)]
    assert params == sorted(params)
    assert params[0] < 500
    steps = [after / before for before, after in pairwise(params[7:])]
    assert max(steps) < 1.6


def test_layers_are_few_graph_nodes():
    """A layer has at most three convolutions, and a fourth one as the shortcut of a pair that changes its shape."""
    space, generator = Compact(operations=("all",)), Random(0)
    for _ in range(20):
        net = space.network(space.random(generator), SHAPE)
        for module in net.modules():
            if isinstance(module, LayerOperation):
                assert sum(isinstance(layer, nn.Conv2d) for layer in module.modules()) <= 3
