"""The cost of stand-alone networks, counted without building them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from nasplug.builtin.compact.genotype import CONV, INVERTED, POOL, RESIDUAL, SEPARABLE, Operation
from nasplug.builtin.compact.layout import LayerLayout, NetworkLayout
from nasplug.builtin.layers import convolution_cost, linear_cost
from nasplug.values import Costs


def network_cost(layout: NetworkLayout, stages: Sequence[Sequence[Operation]]) -> Costs:
    """The whole network of these operations."""
    costs = [stage_cost(layers, operations) for layers, operations in zip(layout.stages, stages, strict=True)]
    return Costs.total([stem_cost(layout.stem), *costs, head_cost(layout.last, layout.head, layout.classes)])


def stage_cost(layers: Sequence[LayerLayout], operations: Sequence[Operation]) -> Costs:
    """The layers of one stage."""
    return Costs.total(layer_cost(layout, operation) for layout, operation in zip(layers, operations, strict=True))


@lru_cache(maxsize=4096)
def layer_cost(layout: LayerLayout, operation: Operation) -> Costs:
    """One layer, with a batch norm behind each convolution except that of a residual pair's shortcut."""
    inputs, outputs, pixels = layout.in_channels, layout.out_channels, layout.out_size**layout.dims
    area, parts = operation.kernel**layout.dims, list[Costs]()
    if operation.kind in (CONV, RESIDUAL):
        parts.append(convolution_cost(area * inputs * outputs, pixels, outputs))
    if operation.kind == RESIDUAL:
        parts.append(convolution_cost(area * outputs * outputs, pixels, outputs))
        if not layout.keeps_shape:
            parts.append(convolution_cost(inputs * outputs, pixels))
    if operation.kind in (SEPARABLE, INVERTED):
        middle = max(1, operation.expansion) * inputs
        if operation.expansion > 1:
            parts.append(convolution_cost(inputs * middle, layout.size**layout.dims, middle))
        parts += [convolution_cost(area * middle, pixels, middle), convolution_cost(middle * outputs, pixels, outputs)]
    if operation.kind == POOL:
        parts.append(convolution_cost(inputs * outputs, pixels, outputs))
    return Costs.total(parts)


def stem_cost(layout: LayerLayout) -> Costs:
    """The stem."""
    weights = 3**layout.dims * layout.in_channels * layout.out_channels
    return convolution_cost(weights, layout.out_size**layout.dims, layout.out_channels)


def head_cost(last: LayerLayout, channels: int, classes: int) -> Costs:
    """The head of `channels` channels behind the last layer, and the classifier."""
    parts = [linear_cost(channels or last.out_channels, classes)]
    if channels:
        parts.append(convolution_cost(last.out_channels * channels, last.out_size**last.dims, channels))
    return Costs.total(parts)
