"""Maps and weights are rounded as the runtimes of quantised models round them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nasplug.builtin.compact import Compact
from nasplug.deployment.fake_quantisation import AVERAGING, FakeQuantised, RoundedMaps, round_weights
from nasplug.deployment.graph import deployed_graph
from nasplug.values import Genotype, ImageShape

SHAPE = (3, 8, 8)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.side = nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False)
        self.classify = nn.Linear(6, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.norm(self.conv(images)).relu()
        logits: torch.Tensor = self.classify((maps + self.side(maps)).mean((2, 3)))
        return logits


def make_images(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(seed))


def make_net() -> Small:
    torch.manual_seed(0)
    net = Small()
    with torch.no_grad():
        net.norm.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr]
        net.norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    return net.eval()


def test_maps_are_rounded_to_256_values_with_zero_among_them() -> None:
    rounding = RoundedMaps().train()
    maps = torch.tensor([-1.0, -0.3, 0.0, 0.011, 1.55])

    rounded = rounding(maps)

    step, zero = 2.55 / 255, round(1.0 / (2.55 / 255))
    by_hand = [(min(255, max(0, round(value / step) + zero)) - zero) * step for value in maps.tolist()]
    torch.testing.assert_close(rounded, torch.tensor(by_hand))
    assert rounded[2] == 0


def test_positive_maps_keep_the_whole_range_above_zero() -> None:
    rounded = RoundedMaps().train()(torch.tensor([5.0, 7.0, 10.2]))
    torch.testing.assert_close(rounded, torch.tensor([5.0, 7.0, 10.2]), atol=0.5 * 10.2 / 255, rtol=0)


def test_ranges_are_running_averages_while_training_and_stay_otherwise() -> None:
    rounding = RoundedMaps().train()
    rounding(torch.tensor([-1.0, 2.0]))
    rounding(torch.tensor([-3.0, 4.0]))
    expected = torch.tensor([-1 - 2 * AVERAGING, 2 + 2 * AVERAGING])
    torch.testing.assert_close(rounding.range, expected)

    clipped = rounding.eval()(torch.tensor([-9.0, 9.0]))

    torch.testing.assert_close(rounding.range, expected)
    torch.testing.assert_close(clipped, expected, atol=3.1 / 255, rtol=0)


def test_weights_are_rounded_to_at_most_64_steps_of_their_channel() -> None:
    weights = (
        torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(1))
        * torch.logspace(-3, 2, 5)[:, None, None, None]
    )
    rounded = round_weights(weights)

    steps = weights.abs().flatten(1).amax(1) / 64
    whole = rounded / steps[:, None, None, None]
    torch.testing.assert_close(whole, whole.round(), atol=1e-3, rtol=0)
    assert whole.abs().max() <= 64 + 1e-3
    assert bool(((rounded - weights).abs() <= 0.501 * steps[:, None, None, None]).all())


def test_gradients_pass_the_rounding_unchanged() -> None:
    weights = torch.randn(2, 3, requires_grad=True)
    factors = torch.randn(2, 3)
    (round_weights(weights) * factors).sum().backward()
    torch.testing.assert_close(weights.grad, factors)


def test_without_rounding_it_is_the_network() -> None:
    net = make_net()
    rounded = FakeQuantised(deployed_graph(net, SHAPE))

    torch.testing.assert_close(rounded.graph(make_images(5)), net(make_images(5)))
    difference = (rounded.train()(make_images(64)) - net(make_images(64))).abs()
    assert 0 < difference.max() < 0.1 * net(make_images(64)).std()


def test_maps_between_a_layer_and_its_activation_are_not_rounded() -> None:
    net = FakeQuantised(deployed_graph(make_net(), SHAPE))
    nodes = {node.name: node for node in net.graph.graph.nodes}
    before_relu = next(node for node in nodes.values() if node.target is torch.ops.aten.relu.default).args[0].name

    rounded = {name for name in nodes if name in net.roundings}

    assert before_relu not in rounded
    assert len(rounded) == 6  # images, relu, side, sum, mean, logits


def test_training_moves_the_weights_of_the_network_that_is_deployed() -> None:
    net = make_net()
    rounded = FakeQuantised(deployed_graph(net, SHAPE)).train()
    optimizer = torch.optim.SGD(rounded.parameters(), lr=0.1)
    images = make_images(32)
    labels = (images[:, 0].mean((1, 2)) > 0).long()
    assert {tuple(parameter.shape) for parameter in rounded.parameters()} == {
        (6, 3, 3, 3), (6, 1, 3, 3), (4, 6), (6,), (4,),
    }  # fmt: skip
    before = nn.functional.cross_entropy(rounded(images), labels)
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(rounded(images), labels).backward()
        optimizer.step()

    after = nn.functional.cross_entropy(rounded.graph(images), labels)
    assert after < 0.9 * before
    torch.testing.assert_close(net(images), make_net()(images))  # the weights of the run stay


def test_any_number_of_images_passes_a_network_of_a_space() -> None:
    space = Compact(stages=("s1 1x16", "s2 2x24"), operations=("res3", "ds3", "ir3e2", "pool"), channels=4)
    shape = ImageShape(channels=3, size=8, classes=5)
    picks = {"0/width": ["16s1"], "0/1": ["res3"], "1/width": ["24s2"], "1/1": ["ds3"], "1/2": ["ir3e2"]}
    genotype = Genotype.from_dict({"schema": 1, "space": "compact", "picks": picks})
    net = space.network(genotype, shape).eval()
    rounded = FakeQuantised(deployed_graph(net, SHAPE)).train()

    for count in (1, 3):
        assert rounded(make_images(count)).shape == (count, 5)


def test_weights_and_maps_are_rounded_as_the_quantised_model_rounds_them() -> None:
    pytest.importorskip("onnxruntime")
    from onnx import numpy_helper

    from nasplug.deployment.onnx_model import write_classifier
    from nasplug.deployment.quantisation import quantise

    net = make_net()
    pixels = torch.randint(0, 256, (32, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    graph = deployed_graph(net, SHAPE)
    model = quantise(write_classifier(graph, [0.5] * 3, [0.25] * 3), pixels.numpy())
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    kernels: dict[tuple[int, ...], np.ndarray] = {}
    steps: set[float] = set()
    for node in model.graph.node:
        values = [constants.get(name) for name in node.input]
        if node.op_type in ("QLinearConv", "QGemm"):
            weights, scales = values[3], values[4]
            kernels[weights.shape] = weights * scales.reshape(-1, *[1] * (weights.ndim - 1))
        place = {"QuantizeLinear": 1, "QLinearConv": 6, "QGemm": 7, "QLinearAdd": 6, "QLinearGlobalAveragePool": 3}
        if node.op_type in place:
            steps.add(float(values[place[node.op_type]]))

    rounded = FakeQuantised(graph).train()
    rounded((pixels / 255 - 0.5) / 0.25)  # the first batch sets the ranges: those of its images

    ours = {tuple(each.shape): round_weights(each) for each in rounded.parameters() if each.dim() > 1}
    assert ours.keys() == kernels.keys()
    for shape, weights in ours.items():
        torch.testing.assert_close(weights.detach(), torch.from_numpy(kernels[shape]))
    ranges = [each.range for each in rounded.roundings.values()]
    our_steps = [float(each[1].clamp(min=0) - each[0].clamp(max=0)) / 255 for each in ranges]
    np.testing.assert_allclose(sorted(our_steps), sorted(steps), rtol=0.02)
