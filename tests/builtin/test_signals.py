"""Networks of signals: kernels of one row, compared with torch's own operations of one dimension."""

from __future__ import annotations

from random import Random

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nasplug.builtin.compact.space import Compact
from nasplug.builtin.darts.genotype import OPERATIONS
from nasplug.builtin.darts.layers import make_auxiliary_head, make_operation
from nasplug.builtin.darts.space import Darts
from nasplug.builtin.mbconv.space import MBConvSpace
from nasplug.builtin.references.ds_cnn import DSCNN
from nasplug.builtin.references.mobilenet import MobileNetV2
from nasplug.builtin.references.residual import Plain, ResNet8
from nasplug.values import ImageShape, MapShape

SPACES = {
    "darts": Darts(cells=3, channels=4),
    "every operation": Darts(
        cells=3, channels=4, choices="node", operations=("darts7", "conv_7x1_1x7", "sep_conv_7x7"), stem="imagenet"
    ),
    "compact": Compact(channels=8, head=6),
    "mbconv": MBConvSpace(channels=4, blocks=("s2 1x16 2x16", "s1 1x24")),
}
FAST = [name for name, space in SPACES.items() if isinstance(space, Darts)]


@pytest.fixture(autouse=True)
def double_precision():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def count_macs(net: nn.Module, shape: ImageShape) -> int:
    """Multiplications of kernels with their inputs, for one signal, as the layers are called."""
    total = 0

    def count(module, _, output):
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += output[0].numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            total += module.weight.numel()

    handles = [module.register_forward_hook(count) for module in net.modules()]
    net.eval()(torch.randn(1, *shape.tensor_shape))
    for handle in handles:
        handle.remove()
    return total


@pytest.mark.parametrize("size", [37, 64])
@pytest.mark.parametrize("name", SPACES)
def test_costs_are_those_of_the_built_network(name, size):
    space, shape = SPACES[name], ImageShape(2, size, 5, dims=1)
    for seed in range(3):
        genotype = space.random(Random(seed))
        net = space.network(genotype, shape)
        assert all(layer.kernel_size[0] == 1 for layer in net.modules() if isinstance(layer, nn.Conv2d))
        costs = space.cost(genotype, shape)
        assert costs.params == sum(parameter.numel() for parameter in net.parameters())
        assert costs.macs == count_macs(net, shape)
        layers = space.layer_list(genotype, shape)
        assert sum(sum(weight.numel() for weight in layer.build().parameters()) for layer in layers) == costs.params


@pytest.mark.parametrize("size", [37, 40])
@pytest.mark.parametrize("name", FAST)
def test_the_batched_supernet_equals_the_plain_one(name, size):
    space = SPACES[name]
    net = space.supernet(ImageShape(2, size, 5, dims=1)).train()
    with torch.no_grad():
        net.choices.alpha.normal_()
    plain = space.plain_supernet(net).train()
    signals = torch.randn(4, 2, 1, size)
    torch.testing.assert_close(net(signals), plain(signals))
    gradients = [torch.autograd.grad(each(signals).square().sum(), net.choices.alpha)[0] for each in (net, plain)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("name", ["compact", "mbconv"])
def test_a_path_of_the_supernet_equals_its_network(name):
    space, shape = SPACES[name], ImageShape(2, 24, 5, dims=1)
    if name == "mbconv":
        space = MBConvSpace(channels=4, blocks=("s2 2x16", "s1 1x24"), match="plain")
    net = space.supernet(shape).train()
    genotype = space.random(Random(1))
    plain = space.network(genotype, shape).train()
    plain.load_state_dict(dict(net.path_weights(genotype, plain)), strict=False)
    signals = torch.randn(6, 2, 1, 24)
    with net.choices.only(space.encode(genotype, net.choices)):
        found = net(signals)
    torch.testing.assert_close(found, plain(signals))


def run_by_hand(name: str, layer: nn.Module, x: torch.Tensor, stride: int) -> torch.Tensor:
    """An operation of `darts` on signals (N, C, L), by torch's functions of one dimension."""
    kernels = [module.weight[:, :, 0] for module in layer.modules() if isinstance(module, nn.Conv2d)]
    channels = x.shape[1]
    if name == "skip_connect":
        if stride == 1:
            return x
        padded = F.pad(F.relu(x), (0, x.shape[2] % 2))
        return F.batch_norm(
            torch.cat([F.conv1d(padded[:, :, first:], each, stride=2) for first, each in enumerate(kernels)], 1),
            None,
            None,
            training=True,
        )
    if name == "max_pool_3x3":
        return F.max_pool1d(x, 3, stride, 1)
    if name == "avg_pool_3x3":
        return F.avg_pool1d(x, 3, stride, 1, count_include_pad=False)
    if name == "conv_7x1_1x7":
        x = F.conv1d(F.conv1d(F.relu(x), kernels[0], stride=stride, padding=3), layer[2].weight[:, :, 0])
        return F.batch_norm(x, None, None, training=True)
    dilation = 2 if name.startswith("dil") else 1
    for spatial, mixing in zip(kernels[::2], kernels[1::2], strict=True):
        reach = dilation * (spatial.shape[2] // 2)
        x = F.conv1d(F.relu(x), spatial, None, stride, reach, dilation, channels)
        x, stride = F.batch_norm(F.conv1d(x, mixing), None, None, training=True), 1
    return x


@pytest.mark.parametrize("length", [9, 12])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OPERATIONS[1:])
def test_operations_of_darts_are_those_of_one_dimension(name, stride, length):
    layer = make_operation(name, 6, stride, dims=1).train()
    x = torch.randn(3, 6, length)
    torch.testing.assert_close(layer(x[:, :, None])[:, :, 0], run_by_hand(name, layer, x, stride))


def test_a_network_of_compact_equals_one_written_by_hand():
    space = Compact(stem="small")
    net = space.network(space.parse("6s1 conv3 pool | 8s2 res3 ds5"), ImageShape(2, 17, 3, dims=1)).train()
    weights = {name: value[:, :, 0] if value.dim() == 4 else value for name, value in net.state_dict().items()}

    def convolve(x, name, stride=1, groups=1):
        kernel = weights[f"{name}.weight"]
        return F.conv1d(x, kernel, stride=stride, padding=kernel.shape[2] // 2, groups=groups)

    def norm(x, name):
        return F.batch_norm(x, None, None, weights[f"{name}.weight"], weights[f"{name}.bias"], training=True)

    x = signals = torch.randn(4, 2, 17)
    x = F.relu(norm(convolve(x, "stem.convolution"), "stem.norm"))
    x = F.relu(norm(convolve(x, "stages.0.1.convolution"), "stages.0.1.norm"))
    pooled = F.avg_pool1d(x, 3, 1, 1, count_include_pad=False)
    x = F.relu(norm(convolve(pooled, "stages.0.2.project"), "stages.0.2.norm"))
    branch = F.relu(norm(convolve(x, "stages.1.1.convolution", 2), "stages.1.1.first_norm"))
    branch = norm(convolve(branch, "stages.1.1.second"), "stages.1.1.norm")
    x = F.relu(branch + convolve(x, "stages.1.1.shortcut", 2))
    x = F.relu(norm(convolve(x, "stages.1.2.depthwise", groups=8), "stages.1.2.depthwise_norm"))
    x = F.relu(norm(convolve(x, "stages.1.2.project"), "stages.1.2.norm"))
    expected = F.linear(x.mean(2), weights["head.classifier.weight"], weights["head.classifier.bias"])
    torch.testing.assert_close(net(signals[:, :, None]), expected)


@pytest.mark.parametrize("reference", [ResNet8(), Plain(), DSCNN(), MobileNetV2(width=0.25)])
def test_reference_networks_halve_signals_as_they_halve_images(reference):
    net = reference.network(ImageShape(2, 40, 5, dims=1)).eval()
    assert all(layer.kernel_size[0] == 1 for layer in net.modules() if isinstance(layer, nn.Conv2d))
    images = reference.network(ImageShape(2, 40, 5)).eval().outputs(torch.randn(1, 2, 40, 40)).taps
    taps = net.outputs(torch.randn(1, 2, 1, 40)).taps
    assert [tap.shape[2:] for tap in taps] == [(1, tap.shape[3]) for tap in images]


def test_an_auxiliary_head_reads_two_samples():
    head = make_auxiliary_head("darts", "cifar", MapShape(3, 8, 1), 4)
    assert head(torch.randn(2, 3, 1, 8)).shape == (2, 4)
    assert head[5].kernel_size == (1, 2)
