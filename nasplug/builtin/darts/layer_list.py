"""The layers of stand-alone networks one by one, for costs that are summed over them; see `SearchSpace.layer_list`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from torch import nn

from nasplug.builtin.darts.genotype import SKIP, CellGraph
from nasplug.builtin.darts.layers import CifarStem, FactorizedReduce, ImagenetStem, ReluConvNorm, make_operation
from nasplug.builtin.darts.layout import Blueprint, CellLayout, NetworkLayout, block_of
from nasplug.builtin.layers import half_size
from nasplug.builtin.listed_layers import GlobalMean, list_concat, list_layer, list_sum
from nasplug.parts import LayerSpec
from nasplug.values import ImageShape, MapShape


def network_layers(blueprint: Blueprint, shape: ImageShape) -> list[LayerSpec]:
    """Stem, the layers of every cell that is built, and the classifier."""
    layout = blueprint.layout
    layers = [*_list_stem(layout, shape), _list_classifier(layout, shape)]
    for cell, graph in blueprint.built_cells:
        layers += _list_cell(layout, shape, cell, graph, graph.inputs)
    return layers


def block_layers(
    layout: NetworkLayout, block: int, cells: Mapping[str, CellGraph], shape: ImageShape
) -> list[LayerSpec]:
    """The layers whose params and MACs `block_cost` adds up for a block (by number) with these cells."""
    depth = len(layout.cells)
    layers = _list_stem(layout, shape) if block == 0 else []
    if block == block_of(depth - 1, depth):
        layers.append(_list_classifier(layout, shape))
    for name, graph in cells.items():
        layers += _list_cell(layout, shape, layout.cells[int(name)], graph, (0, 1))
    return layers


def _list_cell(
    layout: NetworkLayout, shape: ImageShape, cell: CellLayout, graph: CellGraph, inputs: Iterable[int]
) -> list[LayerSpec]:
    """A cell that preprocesses these of its inputs. A skip connection of stride 1 is no layer: it computes nothing."""
    nodes = cell.nodes
    layers = [_list_preprocessing(layout, shape, cell, source) for source in inputs]
    for node in graph.nodes:
        for pick in node:
            stride = cell.stride(pick.input)
            if (pick.operation, stride) != (SKIP, 1):
                maps = MapShape(cell.channels, cell.size, cell.dims) if pick.input < 2 else nodes
                build = partial(make_operation, pick.operation, cell.channels, stride, cell.dims)
                layers.append(list_layer(f"darts {pick.operation} stride {stride}", maps, build))
        layers += list_sum(len(node), nodes)
    return layers + list_concat(len(graph.concat), nodes)


def _list_preprocessing(layout: NetworkLayout, shape: ImageShape, cell: CellLayout, source: int) -> LayerSpec:
    halves = source == 0 and cell.halves_older
    layer = partial(FactorizedReduce, dims=cell.dims) if halves else ReluConvNorm
    key = f"darts {'reduce' if halves else 'preprocess'} to {cell.channels}"
    size = _older_size(layout, shape, cell) if halves else cell.size
    return list_layer(
        key, MapShape(cell.inputs[source], size, cell.dims), partial(layer, cell.inputs[source], cell.channels)
    )


def _older_size(layout: NetworkLayout, shape: ImageShape, cell: CellLayout) -> int:
    """Side of the map of input 0 where it is about twice as large as that of input 1.

    The reduction between them is the cell before, or the last convolution of the ImageNet stem.
    """
    return layout.cells[cell.index - 1].size if cell.index else half_size(half_size(shape.size))


def _list_stem(layout: NetworkLayout, shape: ImageShape) -> list[LayerSpec]:
    channels = layout.stem_channels[0]
    images = MapShape(shape.channels, shape.size, shape.dims)
    if layout.stem == "cifar":
        return [
            list_layer(
                f"darts stem to {channels}",
                images,
                lambda: nn.Sequential(*CifarStem(shape.channels, channels, nn.BatchNorm2d, shape.dims)),
            )
        ]
    make_stem = partial(ImagenetStem, shape.channels, channels, nn.BatchNorm2d, shape.dims)
    quarter = MapShape(channels, half_size(half_size(shape.size)), shape.dims)
    return [
        list_layer(f"darts stem to {channels}, a quarter", images, lambda: make_stem().quarter),
        list_layer(f"darts stem to {channels}, an eighth", quarter, lambda: make_stem().eighth),
    ]


def _list_classifier(layout: NetworkLayout, shape: ImageShape) -> LayerSpec:
    def build() -> nn.Module:
        return nn.Sequential(GlobalMean(), nn.Linear(layout.out_channels, shape.classes))

    maps = MapShape(layout.out_channels, layout.cells[-1].out_size, shape.dims)
    return list_layer(f"darts classifier of {shape.classes}", maps, build)
