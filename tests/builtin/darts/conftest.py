from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nasplug.builtin.darts.supernet import DartsSupernet


def norm(x: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, training=True, eps=1e-5)


def plain_halving(x: Tensor, module) -> Tensor:
    x = F.relu(x)
    if x.shape[2] % 2:
        x = F.pad(x, (0, 1, 0, 1))
    even = F.conv2d(x, module.even.weight, stride=2)
    return norm(torch.cat([even, F.conv2d(x[:, :, 1:, 1:], module.odd.weight, stride=2)], 1))


def plain_operation(name: str, x: Tensor, stride: int, module) -> Tensor:
    """DARTS's definition of one operation on one edge, written out."""
    if name == "skip_connect":
        return x if stride == 1 else plain_halving(x, module)
    if name == "max_pool_3x3":
        return norm(F.max_pool2d(x, 3, stride, 1))
    if name == "avg_pool_3x3":
        return norm(F.avg_pool2d(x, 3, stride, 1, count_include_pad=False))
    if name == "conv_7x1_1x7":
        x = F.conv2d(F.relu(x), module.across.weight, stride=(1, stride), padding=(0, 3))
        return norm(F.conv2d(x, module.down.weight, stride=(stride, 1), padding=(3, 0)))
    kernel = int(re.search(r"(\d)x\d$", name)[1])
    repeats, dilation, padding = (2, 1, kernel // 2) if name.startswith("sep") else (1, 2, kernel - 1)
    for repeat in range(repeats):
        weight = module.depthwise[repeat].weight
        x = F.conv2d(F.relu(x), weight, None, 1 if repeat else stride, padding, dilation, groups=x.shape[1])
        x = norm(F.conv2d(x, module.pointwise[repeat].weight))
    return x


def plain_logits(net: DartsSupernet, images: Tensor) -> Tensor:
    """The supernet as DARTS computes it: one operation on one edge after the other, with the weights of `net`."""
    weights, choices = net.choices.weights(), net.choices
    older, newer = net.stem(images)
    cells, halved = len(net.cells), False
    for number, cell in enumerate(net.cells):
        reduction = number in (cells // 3, 2 * cells // 3) and number > 0
        kind = "reduce" if reduction else "normal"
        prefix = kind if any(name.startswith("normal/") for name in choices.rows) else str(number)
        states = [
            plain_halving(older, cell.older)
            if halved
            else norm(F.conv2d(F.relu(older), cell.older.convolution.weight)),
            norm(F.conv2d(F.relu(newer), cell.newer.convolution.weight)),
        ]
        for node in range(2, cell.nodes + 2):
            total = torch.zeros(())
            for source in range(node):
                stride = 2 if reduction and source < 2 else 1
                by_edge = f"{prefix}/{node}<-{source}" in choices.rows
                row = choices.rows[f"{prefix}/{node}<-{source}" if by_edge else f"{prefix}/{node}"]
                for column, candidate in enumerate(choices.choices[row].candidates):
                    name, _, read = candidate.partition("@")
                    if name == "none" or not choices.active[row, column] or (not by_edge and int(read) != source):
                        continue
                    module = cell.candidates[f"{name}@{source}>{node}"] if has_weights(name, stride) else None
                    term = plain_operation(name, states[source], stride, module)
                    total = total + weights[row, column] * term
            states.append(total)
        older, newer, halved = newer, torch.cat(states[2:], 1), reduction
    return F.linear(newer.mean((2, 3)), net.classifier.weight, net.classifier.bias)


def has_weights(name: str, stride: int) -> bool:
    return "conv" in name or (name == "skip_connect" and stride == 2)


@pytest.fixture
def plain():
    return plain_logits
