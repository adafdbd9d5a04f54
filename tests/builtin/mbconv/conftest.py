from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin.mbconv import MBConvSpace
from nasplug.builtin.mbconv.supernet import MBConvSupernet
from nasplug.values import ImageShape
from tests.builtin.mixtures import randomised


def normalise(x: Tensor, norm: nn.Module) -> Tensor:
    return F.batch_norm(x, None, None, norm.weight, norm.bias, training=True, eps=1e-5)


def plain_separable(x: Tensor, module: nn.Module, stride: int) -> Tensor:
    weight = module.depthwise.weight
    x = F.silu(
        normalise(F.conv2d(x, weight, None, stride, weight.shape[2] // 2, groups=len(weight)), module.depthwise_norm)
    )
    mean = x.mean((2, 3), keepdim=True)
    inner = F.silu(F.conv2d(mean, module.squeeze.weight[:, :, None, None], module.squeeze.bias))
    gate = torch.sigmoid(F.conv2d(inner, module.excite.weight[:, :, None, None], module.excite.bias))
    return normalise(F.conv2d(x * gate, module.project.weight), module.project_norm)


def plain_mbconv(x: Tensor, module: nn.Module, stride: int) -> Tensor:
    """An inverted residual of EfficientNet, written out, with the statistics of the batch."""
    expanded = F.silu(normalise(F.conv2d(x, module.expand.weight), module.expand_norm))
    branch = plain_separable(expanded, module, stride)
    return x + branch if stride == 1 and branch.shape[1] == x.shape[1] else branch


def plain_stem(net: nn.Module, images: Tensor, stride: int) -> Tensor:
    x = F.conv2d(images, net.stem.convolution.weight, None, stride, 1)
    return plain_separable(F.silu(normalise(x, net.stem.norm)), net.stem.separable, 1)


def plain_head(net: nn.Module, x: Tensor) -> Tensor:
    x = F.silu(normalise(F.conv2d(x, net.head.convolution.weight), net.head.norm))
    return F.linear(x.mean((2, 3)), net.head.classifier.weight, net.head.classifier.bias)


def plain_outputs(net: MBConvSupernet, images: Tensor, strides: tuple[int, ...]) -> tuple[Tensor, list[Tensor]]:
    """Logits and taps computed one operation after the other, each cell and operation weighed by its choice."""
    choices, weights = net.choices, net.choices.weights()

    def active(name: str) -> list[tuple[str, Tensor]]:
        row = choices.rows[name]
        columns = choices.active_mask[row].nonzero()[:, 0].tolist()
        return [(choices.choices[row].candidates[column], weights[row, column]) for column in columns]

    x, taps = plain_stem(net, images, 1), []
    for number, stride in enumerate(strides):
        if f"{number}/cell" in choices.rows:
            cells = active(f"{number}/cell")
        else:
            only = next(name for name in choices.rows if name.startswith(f"{number}/"))
            cells = [(only.split("/")[1], torch.ones((), dtype=x.dtype))]
        total = torch.zeros(())
        for cell, cell_weight in cells:
            y = x
            for step in range(int(cell.partition("x")[0])):
                modules = net.body[number].steps[step][cell].candidates
                terms = [
                    weight * plain_mbconv(y, modules[name], stride if step == 0 else 1)
                    for name, weight in active(f"{number}/{cell}/{step + 1}")
                ]
                y = sum(terms)
            total = total + cell_weight * y
        x = total
        taps.append(x)
    return plain_head(net, x), taps


BLOCKS = ("s1 1x4 2x6", "s2 1x6 3x4", "s2 2x4")
STRIDES = (1, 2, 2)


@pytest.fixture
def space() -> MBConvSpace:
    """Three blocks of two, two and one cells, as narrow as it goes."""
    return MBConvSpace(blocks=BLOCKS, kernels=(3, 5), expansions=(2, 3), channels=32, head=8)


@pytest.fixture
def shape() -> ImageShape:
    return ImageShape(1, 8, 3)


@pytest.fixture
def build(space, shape):
    """The supernet in float64 with random alpha and norms, and images for it."""

    def build_supernet(space=space):
        torch.manual_seed(0)
        return randomised(space.supernet(shape)), torch.randn(4, 1, 8, 8, dtype=torch.float64)

    return build_supernet


@pytest.fixture
def plain():
    return lambda net, images: plain_outputs(net, images, STRIDES)


@pytest.fixture
def plain_network():
    """The logits of a stand-alone network with batch statistics, written out."""

    def logits(net, images, strides):
        x = plain_stem(net, images, 1)
        for block, stride in zip(net.blocks, strides, strict=True):
            for number, layer in enumerate(block):
                x = plain_mbconv(x, layer, 1 if number else stride)
        return plain_head(net, x)

    return logits
