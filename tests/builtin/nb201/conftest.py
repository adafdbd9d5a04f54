"""The supernet of NAS-Bench-201 as AutoDL defines it: one operation on one edge after the other, with plain loops."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nasplug.builtin.nb201.supernet import NasBench201Supernet

KERNELS = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}


def norm(x: Tensor, module=None) -> Tensor:
    weight, bias = (module.weight, module.bias) if module else (None, None)
    return F.batch_norm(x, None, None, weight, bias, training=True, eps=1e-5)


def plain_operation(name: str, x: Tensor, module) -> Tensor:
    if name == "none":
        return x * 0
    if name == "skip_connect":
        return x
    if name == "avg_pool_3x3":
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    return norm(F.conv2d(F.relu(x), module.convolution.weight, padding=KERNELS[name] // 2))


def plain_cell(cell, x: Tensor, choices, weights: Tensor) -> Tensor:
    states = [x]
    for target in (1, 2, 3):
        total = torch.zeros_like(x)
        for source in range(target):
            row = choices.rows[f"{target}<-{source}"]
            for column, name in enumerate(choices.choices[row].candidates):
                if choices.active[row, column]:
                    module = cell.candidates[f"{name}@{target}<-{source}"] if name in KERNELS else None
                    total = total + weights[row, column] * plain_operation(name, states[source], module)
        states.append(total)
    return states[3]


def plain_residual(block, x: Tensor) -> Tensor:
    branch = x
    for (_, convolution, affine), stride in zip(block.branch, (2, 1), strict=True):
        branch = norm(F.conv2d(F.relu(branch), convolution.weight, stride=stride, padding=1), affine)
    return branch + F.conv2d(F.avg_pool2d(x, 2, ceil_mode=True), block.shortcut[1].weight)


def plain_logits(net: NasBench201Supernet, images: Tensor) -> Tensor:
    weights, frame = net.choices.weights(), net.skeleton
    x = norm(F.conv2d(images, frame.stem[0].weight, padding=1), frame.stem[1])
    for number, stage in enumerate(net.stages):
        x = plain_residual(frame.residuals[number - 1], x) if number else x
        for cell in stage:
            x = plain_cell(cell, x, net.choices, weights)
    pooled = F.relu(norm(x, frame.norm)).mean((2, 3))
    return F.linear(pooled, frame.classifier.weight, frame.classifier.bias)


@pytest.fixture
def plain():
    return plain_logits
