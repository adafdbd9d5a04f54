"""The cost of stand-alone networks, counted without building them.

MACs count convolutions and linear layers, those of squeeze-excitation included: 385.8 M for EfficientNet-B0, 450.1 M
for DNA-c. The counter behind the published 399 M and 466 M adds two operations for each element of each batch norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from nasplug.builtin.layers import convolution_cost, linear_cost
from nasplug.builtin.mbconv.genotype import Chain, Operation
from nasplug.builtin.mbconv.layout import LayerLayout, NetworkLayout, StemLayout
from nasplug.values import Costs


def network_cost(layout: NetworkLayout, chains: Sequence[Chain]) -> Costs:
    """The whole network of these chains."""
    last = layout.blocks[-1][-1]
    blocks = [block_cost(layers, chain) for layers, chain in zip(layout.blocks, chains, strict=True)]
    head = head_cost(last, layout.head, layout.classes)
    return Costs.total([stem_cost(layout.stem), *blocks, head])


def block_cost(layers: Sequence[LayerLayout], chain: Chain) -> Costs:
    """The layers of one block."""
    return Costs.total(
        layer_cost(layout, operation) for layout, operation in zip(layers, chain.operations, strict=True)
    )


@lru_cache(maxsize=4096)
def layer_cost(layout: LayerLayout, operation: Operation) -> Costs:
    """One MBConv: expansion, depthwise convolution, squeeze-excitation, projection, three batch norms."""
    channels = operation.expansion * layout.in_channels
    expansion = _pointwise_cost(layout.in_channels, channels, layout.size**layout.dims)
    return Costs.total([expansion, _separable_cost(layout, channels, operation.kernel)])


def stem_cost(layout: StemLayout) -> Costs:
    """The stem."""
    weights = 3**layout.dims * layout.in_channels * layout.channels
    convolution = convolution_cost(weights, layout.size**layout.dims, layout.channels)
    return Costs.total([convolution, _separable_cost(layout.separable, layout.channels, kernel=3)])


def head_cost(last: LayerLayout, channels: int, classes: int) -> Costs:
    """The head behind the layer `last`, and the classifier."""
    pixels = last.out_size**last.dims
    return Costs.total([_pointwise_cost(last.out_channels, channels, pixels), linear_cost(channels, classes)])


def _separable_cost(layout: LayerLayout, channels: int, kernel: int) -> Costs:
    pixels = layout.out_size**layout.dims
    depthwise = convolution_cost(channels * kernel**layout.dims, pixels, channels)
    excitation = [linear_cost(channels, layout.squeeze_channels), linear_cost(layout.squeeze_channels, channels)]
    return Costs.total([depthwise, *excitation, _pointwise_cost(channels, layout.out_channels, pixels)])


def _pointwise_cost(in_channels: int, out_channels: int, pixels: int) -> Costs:
    return convolution_cost(in_channels * out_channels, pixels, out_channels)
