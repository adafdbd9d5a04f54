"""The cost of stand-alone networks, counted without building them: baselines ask for it hundreds of times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from nasplug.builtin.darts.build import Blueprint
from nasplug.builtin.darts.names import DILATED, FACTORISED, POOLS, SEPARABLE, SKIP
from nasplug.builtin.darts.plan import CellPlan, NetworkPlan, block_of, halved
from nasplug.builtin.darts.topology import CellGraph
from nasplug.values import Cost, ImageShape


def network_cost(blueprint: Blueprint, shape: ImageShape) -> Cost:
    """Parameters without an auxiliary head, and multiply-accumulates of convolutions and linear layers per image."""
    plan = blueprint.plan
    parts = [_stem(plan, shape), _linear(plan.out_channels, shape.classes)]
    for cell, graph in blueprint.built:
        parts += [_preprocess(cell, source) for source in graph.inputs]
        parts += _operations(cell, graph)
    return _sum(parts)


def block_cost(plan: NetworkPlan, block: int, cells: Mapping[str, CellGraph], shape: ImageShape) -> Cost:
    """The cost of the cells of one block, all of them built; the first block has the stem, the last the classifier."""
    depth = len(plan.cells)
    parts = [_stem(plan, shape)] if block == 0 else []
    if block == block_of(depth - 1, depth):
        parts.append(_linear(plan.out_channels, shape.classes))
    for name, graph in cells.items():
        cell = plan.cells[int(name)]
        parts += [_preprocess(cell, 0), _preprocess(cell, 1), *_operations(cell, graph)]
    return _sum(parts)


def _operations(cell: CellPlan, graph: CellGraph) -> list[Cost]:
    return [
        operation_cost(pick.operation, cell.channels, cell.stride(pick.input), _read_size(cell, pick.input))
        for node in graph.nodes
        for pick in node
    ]


def _sum(parts: Sequence[Cost]) -> Cost:
    return Cost(params=sum(part.params for part in parts), macs=sum(part.macs for part in parts))


@lru_cache(maxsize=4096)
def operation_cost(name: str, channels: int, stride: int, size: int) -> Cost:
    """One operation on maps of size x size, with its affine batch norms."""
    out = halved(size) if stride == 2 else size
    if name in POOLS or (name == SKIP and stride == 1):
        return Cost(0, 0)
    if name == SKIP:
        return _normed(channels * channels, out * out, channels)
    if name in SEPARABLE:
        return _normed(2 * channels * (SEPARABLE[name] ** 2 + channels), out * out, 2 * channels)
    if name in DILATED:
        return _normed(channels * (DILATED[name] ** 2 + channels), out * out, channels)
    assert name == FACTORISED, name  # noqa: S101 - names were checked when the genotype was read
    # The first of its two convolutions halves the width only, so it computes size x out pixels.
    weights = 7 * channels * channels
    return Cost(params=2 * weights + 2 * channels, macs=weights * out * (size + out))


def _normed(weights: int, pixels: int, normed: int) -> Cost:
    return Cost(params=weights + 2 * normed, macs=weights * pixels)


def _linear(inside: int, outside: int) -> Cost:
    return Cost(params=(inside + 1) * outside, macs=inside * outside)


def _read_size(cell: CellPlan, source: int) -> int:
    return cell.size if source < 2 else cell.out_size


def _preprocess(cell: CellPlan, source: int) -> Cost:
    # A FactorizedReduce has the weights and the output of a 1x1 convolution of stride 2: it costs the same.
    return _normed(cell.inputs[source] * cell.channels, cell.size * cell.size, cell.channels)


def _stem(plan: NetworkPlan, shape: ImageShape) -> Cost:
    channels = plan.stem_channels[0]
    if plan.stem == "cifar":
        return _normed(9 * shape.channels * channels, shape.size**2, channels)
    half, sizes = max(1, channels // 2), [halved(shape.size)]
    sizes += [halved(sizes[0]), halved(halved(sizes[0]))]
    convolutions = zip((shape.channels, half, channels), (half, channels, channels), sizes, strict=True)
    layers = [_normed(9 * inside * outside, size**2, outside) for inside, outside, size in convolutions]
    return Cost(params=sum(layer.params for layer in layers), macs=sum(layer.macs for layer in layers))
