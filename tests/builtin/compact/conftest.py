from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin.compact import Compact
from nasplug.values import ImageShape
from tests.builtin.mixtures import randomised

ACTIVATIONS = {"relu": torch.relu, "relu6": lambda x: x.clamp(0, 6)}


class PlainNet:
    """The supernet written out: each candidate by itself at the widest width, channels scaled by masks."""

    def __init__(self, space: Compact, net: nn.Module) -> None:
        self.net, self.act = net, ACTIVATIONS[space.activation]
        self.weights = net.choices.weights()
        self.strides = [choices.stride for choices in space._offered()]

    def active(self, name: str) -> list[tuple[str, Tensor]]:
        choices = self.net.choices
        row = choices.rows[name]
        columns = choices.active_mask[row].nonzero()[:, 0].tolist()
        return [(choices.choices[row].candidates[column], self.weights[row, column]) for column in columns]

    def mask(self, number: int) -> Tensor:
        stage = self.net.stages[number]
        if f"{number}/width" not in self.net.choices.rows:
            return torch.ones(stage.widths[0], dtype=self.weights.dtype)
        names = self.net.choices.choices[self.net.choices.rows[f"{number}/width"]].candidates
        mask = torch.zeros(max(stage.widths), dtype=self.weights.dtype)
        for name, weight in self.active(f"{number}/width"):
            mask = mask + weight * (torch.arange(len(mask)) < stage.widths[names.index(name)])
        return mask

    def norm(self, x: Tensor, norm: nn.Module, mask: Tensor) -> Tensor:
        normed = F.batch_norm(x, None, None, norm.weight, norm.bias, training=True, eps=1e-5)
        return normed * mask[:, None, None]

    def branch(self, x: Tensor, name: str, module: nn.Module, stride: int, reads: Tensor, gives: Tensor) -> Tensor:
        """What one candidate gives; inverted residuals without what they read."""
        act, norm = self.act, self.norm
        if name.startswith(("conv", "res")):
            side = module.convolution.weight.shape[2] // 2
            y = norm(
                F.conv2d(x, module.convolution.weight, None, stride, side),
                module.first_norm if "res" in name else module.norm,
                gives,
            )
            if name.startswith("conv"):
                return act(y)
            y = norm(F.conv2d(act(y), module.second.weight, padding=side), module.norm, gives)
            if module.shortcut is None:
                return act(y + x)
            return act(y + F.conv2d(x, module.shortcut.weight, stride=stride) * gives[:, None, None])
        if name == "pool":
            pooled = F.avg_pool2d(x, 3, stride, 1, count_include_pad=False)
            return act(norm(F.conv2d(pooled, module.project.weight), module.norm, gives))
        inner = reads
        if name.startswith("ir") and name[-1] != "1":
            inner = reads.repeat_interleave(int(name[-1]))
            x = act(norm(F.conv2d(x, module.expand.weight), module.expand_norm, inner))
        weight = module.depthwise.weight
        x = F.conv2d(x, weight, None, stride, weight.shape[2] // 2, groups=len(weight))
        y = norm(F.conv2d(act(norm(x, module.depthwise_norm, inner)), module.project.weight), module.norm, gives)
        return y if name.startswith("ir") else act(y)

    def outputs(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits and taps."""
        net, taps = self.net, []
        reads = self.mask(0)
        convolution = net.stem.convolution
        x = self.act(self.norm(F.conv2d(images, convolution.weight, None, convolution.stride, 1), net.stem.norm, reads))
        for number, stage in enumerate(net.stages):
            gives = self.mask(number)
            for layer, module in enumerate(stage.layers):
                stride = self.strides[number] if layer == 0 else 1
                terms = []
                for name, weight in self.active(f"{number}/{layer + 1}"):
                    if name != "skip":
                        terms.append(weight * self.branch(x, name, module.candidates[name], stride, reads, gives))
                    if name == "skip" or (name.startswith("ir") and (layer > 0 or (number == 0 and stride == 1))):
                        terms.append(weight * x)
                x, reads = sum(terms), gives
            taps.append(x)
        if net.head.convolution is not None:
            x = F.conv2d(x, net.head.convolution.weight)
            x = self.act(self.norm(x, net.head.norm, torch.ones(x.shape[1], dtype=x.dtype)))
        return F.linear(x.mean((2, 3)), net.head.classifier.weight, net.head.classifier.bias), taps


STAGES = ("s1 2x4", "s2 2x6", "s1 2x4")


@pytest.fixture
def space() -> Compact:
    """Three stages of two layers and three widths, with all operations."""
    return Compact(stages=STAGES, multipliers=(0.5, 1.0, 1.5), operations=("all", "res5", "ir3e1"))


@pytest.fixture
def shape() -> ImageShape:
    return ImageShape(2, 7, 3)


@pytest.fixture
def build(shape):
    """The supernet in float64 with random alpha and norms, and images for it."""

    def build_supernet(space):
        torch.manual_seed(0)
        return randomised(space.supernet(shape)), torch.randn(3, 2, 7, 7, dtype=torch.float64)

    return build_supernet


@pytest.fixture
def plain():
    return lambda space, net, images: PlainNet(space, net).outputs(images)
