"""Layers of networks of the benchmark one by one, for costs that are summed over them; see `SearchSpace.layer_list`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from torch import nn

from nasplug.builtin.listed_layers import GlobalMean, list_layer, list_sum
from nasplug.builtin.nb201.genotype import EDGES, LAST, NONE, SKIP
from nasplug.builtin.nb201.network import NetworkLayout, Residual, make_operation, make_stem
from nasplug.parts import LayerSpec
from nasplug.values import MapShape


def network_layers(layout: NetworkLayout, operations: Sequence[str]) -> list[LayerSpec]:
    """Stem, the edges and sums of every cell, the residual blocks between the stages, classifier.

    As in the network, an edge counts even where it reads zeros or does not reach the output of its cell.
    """
    layers = [_list_stem(layout), _list_classifier(layout)]
    for before, after in pairwise(layout.stages):
        build = partial(Residual, before.channels, after.channels, nn.BatchNorm2d)
        layers.append(list_layer(f"nb201 residual to {after.channels}", before, build))
    for stage in layout.stages:
        layers += layout.cells * _list_cell(stage, operations)
    return layers


def _list_cell(maps: MapShape, operations: Sequence[str]) -> list[LayerSpec]:
    layers = [
        list_layer(f"nb201 {name}", maps, partial(make_operation, name, maps.channels))
        for name in operations
        if name not in (NONE, SKIP)
    ]
    for node in range(1, LAST + 1):
        terms = [name for (target, _), name in zip(EDGES, operations, strict=True) if target == node and name != NONE]
        layers += list_sum(len(terms), maps)
    return layers


def _list_stem(layout: NetworkLayout) -> LayerSpec:
    images, channels = layout.images, layout.stages[0].channels
    build = partial(make_stem, images.channels, channels, nn.BatchNorm2d)
    return list_layer(f"nb201 stem to {channels}", MapShape(images.channels, images.size), build)


def _list_classifier(layout: NetworkLayout) -> LayerSpec:
    last, classes = layout.stages[-1], layout.images.classes

    def build() -> nn.Module:
        norm, classifier = nn.BatchNorm2d(last.channels), nn.Linear(last.channels, classes)
        return nn.Sequential(norm, nn.ReLU(), GlobalMean(), classifier)

    return list_layer(f"nb201 classifier of {classes}", last, build)
