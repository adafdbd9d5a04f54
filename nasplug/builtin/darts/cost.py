"""The cost of stand-alone networks, counted without building them, since baselines need it hundreds of times."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from nasplug.builtin.darts.genotype import DILATED, FACTORISED, POOLS, SEPARABLE, SKIP, CellGraph
from nasplug.builtin.darts.layout import Blueprint, CellLayout, NetworkLayout, block_of
from nasplug.builtin.layers import convolution_cost, half_size, linear_cost
from nasplug.values import Costs, ImageShape


def network_cost(blueprint: Blueprint, shape: ImageShape) -> Costs:
    """Parameters without an auxiliary head, and multiply-accumulates of convolutions and linear layers per image."""
    layout = blueprint.layout
    parts = [_stem_cost(layout, shape), linear_cost(layout.out_channels, shape.classes)]
    for cell, graph in blueprint.built_cells:
        parts += [_preprocess_cost(cell, source) for source in graph.inputs]
        parts += _operation_costs(cell, graph)
    return Costs.total(parts)


def block_cost(layout: NetworkLayout, block: int, cells: Mapping[str, CellGraph], shape: ImageShape) -> Costs:
    """The cost of the cells of one block (by number), all built; the first has the stem, the last the classifier."""
    depth = len(layout.cells)
    parts = [_stem_cost(layout, shape)] if block == 0 else []
    if block == block_of(depth - 1, depth):
        parts.append(linear_cost(layout.out_channels, shape.classes))
    for name, graph in cells.items():
        cell = layout.cells[int(name)]
        parts += [_preprocess_cost(cell, 0), _preprocess_cost(cell, 1), *_operation_costs(cell, graph)]
    return Costs.total(parts)


def _operation_costs(cell: CellLayout, graph: CellGraph) -> list[Costs]:
    return [
        operation_cost(
            pick.operation,
            cell.channels,
            cell.stride(pick.input),
            size=cell.size if pick.input < 2 else cell.out_size,
            dims=cell.dims,
        )
        for node in graph.nodes
        for pick in node
    ]


@lru_cache(maxsize=4096)
def operation_cost(name: str, channels: int, stride: int, size: int, dims: int = 2) -> Costs:
    """One operation on maps of size x size, or signals of `size` samples (`dims` 1), with its affine batch norms."""
    out = half_size(size) if stride == 2 else size
    pixels = out**dims
    if name in POOLS or (name == SKIP and stride == 1):
        return Costs(params=0, macs=0)
    if name == SKIP:
        return convolution_cost(channels * channels, pixels, channels)
    if name in SEPARABLE:
        return convolution_cost(2 * channels * (SEPARABLE[name] ** dims + channels), pixels, 2 * channels)
    if name in DILATED:
        return convolution_cost(channels * (DILATED[name] ** dims + channels), pixels, channels)
    assert name == FACTORISED, name  # noqa: S101 - names were checked when the genotype was read
    if dims == 1:
        return convolution_cost((7 + 1) * channels * channels, out, channels)
    # The first of its two convolutions halves the width only, so it computes size x out pixels.
    weights = 7 * channels * channels
    return Costs(params=2 * weights + 2 * channels, macs=weights * out * (size + out))


def _preprocess_cost(cell: CellLayout, source: int) -> Costs:
    # A FactorizedReduce has the weights and the output of a 1x1 convolution of stride 2: it costs the same.
    return convolution_cost(cell.inputs[source] * cell.channels, cell.size**cell.dims, cell.channels)


def _stem_cost(layout: NetworkLayout, shape: ImageShape) -> Costs:
    channels, dims = layout.stem_channels[0], shape.dims
    if layout.stem == "cifar":
        return convolution_cost(3**dims * shape.channels * channels, shape.size**dims, channels)
    half, sizes = max(1, channels // 2), [half_size(shape.size)]
    sizes += [half_size(sizes[0]), half_size(half_size(sizes[0]))]
    layers = zip((shape.channels, half, channels), (half, channels, channels), sizes, strict=True)
    return Costs.total(
        convolution_cost(3**dims * in_channels * out_channels, size**dims, out_channels)
        for in_channels, out_channels, size in layers
    )
