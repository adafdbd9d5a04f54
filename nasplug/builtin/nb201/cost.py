"""The cost of stand-alone networks, counted without building them.

Parameters are those of the benchmark, to the unit. Multiply-accumulates are those of convolutions and linear layers;
the benchmark's own "FLOPs" count one more for each class, the bias of the classifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from nasplug.builtin.nb201.names import KERNELS
from nasplug.builtin.nb201.plan import NetworkPlan
from nasplug.values import Cost


def network_cost(plan: NetworkPlan, operations: Sequence[str]) -> Cost:
    """Parameters, and multiply-accumulates per image."""
    first, last, classes = plan.stages[0], plan.stages[-1], plan.images.classes
    parts = [
        _convolution(plan.images.channels, first.channels, 3, first.size),
        Cost(params=2 * last.channels + (last.channels + 1) * classes, macs=last.channels * classes),
    ]
    for before, after in pairwise(plan.stages):
        parts += [
            _convolution(before.channels, after.channels, 3, after.size),
            _convolution(after.channels, after.channels, 3, after.size),
            _convolution(before.channels, after.channels, 1, after.size, norm=False),
        ]
    for stage in plan.stages:
        kernels = [KERNELS[name] for name in operations if name in KERNELS]
        parts += plan.cells * [_convolution(stage.channels, stage.channels, kernel, stage.size) for kernel in kernels]
    return Cost(params=sum(part.params for part in parts), macs=sum(part.macs for part in parts))


def _convolution(inside: int, outside: int, kernel: int, size: int, norm: bool = True) -> Cost:
    """A convolution that gives maps of size x size, with its affine batch norm."""
    weights = kernel * kernel * inside * outside
    return Cost(params=weights + 2 * outside * norm, macs=weights * size * size)
