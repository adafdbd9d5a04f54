"""The cost of stand-alone networks, counted without building them.

MACs count convolutions and linear layers, those of squeeze-excitation included: 385.8 M for EfficientNet-B0, 450.1 M
for DNA-c. The counter behind the published 399 M and 466 M adds two operations for each element of each batch norm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from nasplug.builtin.mbconv.names import Operation
from nasplug.builtin.mbconv.plan import LayerPlan, NetworkPlan, StemPlan
from nasplug.builtin.mbconv.topology import Chain
from nasplug.values import Cost


def total(parts: Iterable[Cost]) -> Cost:
    """The sum of several costs."""
    parts = tuple(parts)
    return Cost(params=sum(part.params for part in parts), macs=sum(part.macs for part in parts))


def network_cost(plan: NetworkPlan, chains: Sequence[Chain]) -> Cost:
    """The whole network of these chains."""
    last = plan.blocks[-1][-1]
    blocks = [block_cost(layers, chain) for layers, chain in zip(plan.blocks, chains, strict=True)]
    return total([stem_cost(plan.stem), *blocks, head_cost(last.outside, plan.head, last.out_size, plan.classes)])


def block_cost(layers: Sequence[LayerPlan], chain: Chain) -> Cost:
    """The layers of one block."""
    return total(layer_cost(plan, operation) for plan, operation in zip(layers, chain.operations, strict=True))


@lru_cache(maxsize=4096)
def layer_cost(plan: LayerPlan, operation: Operation) -> Cost:
    """One MBConv: expansion, depthwise convolution, squeeze-excitation, projection, three batch norms."""
    expanded = operation.expansion * plan.inside
    return total([_pointwise(plan.inside, expanded, plan.size), _separable(plan, expanded, operation.kernel)])


def stem_cost(plan: StemPlan) -> Cost:
    """The stem."""
    weights = 9 * plan.planes * plan.channels
    convolution = Cost(params=weights + 2 * plan.channels, macs=weights * plan.size**2)
    return total([convolution, _separable(plan.separable, plan.channels, kernel=3)])


def head_cost(inside: int, channels: int, size: int, classes: int) -> Cost:
    """The head and the classifier."""
    return total([_pointwise(inside, channels, size), _linear(channels, classes)])


def _separable(plan: LayerPlan, channels: int, kernel: int) -> Cost:
    weights = channels * kernel**2
    depthwise = Cost(params=weights + 2 * channels, macs=weights * plan.out_size**2)
    excitation = [_linear(channels, plan.squeezed), _linear(plan.squeezed, channels)]
    return total([depthwise, *excitation, _pointwise(channels, plan.outside, plan.out_size)])


def _pointwise(inside: int, outside: int, size: int) -> Cost:
    return Cost(params=inside * outside + 2 * outside, macs=inside * outside * size**2)


def _linear(inside: int, outside: int) -> Cost:
    return Cost(params=(inside + 1) * outside, macs=inside * outside)
