"""The layers of stand-alone networks, as far as their costs need to be known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from nasplug.builtin.compact.genotype import SKIP, Operation
from nasplug.builtin.compact.layout import LayerLayout
from nasplug.builtin.compact.network import Head, Stem
from nasplug.builtin.compact.operations import ACTIVATIONS, make_operation
from nasplug.parts import LayerSpec


def stem_layer(layout: LayerLayout, activation: str) -> LayerSpec:
    """The stem."""
    build = partial(Stem, layout, nn.BatchNorm2d, ACTIVATIONS[activation])
    return _layer(f"stem {layout.out_channels} stride {layout.stride} {activation}", layout, build)


def stage_layers(layouts: Sequence[LayerLayout], operations: Sequence[Operation], activation: str) -> list[LayerSpec]:
    """The layers of a stage that are not left out."""
    return [
        _layer(
            f"{operation} {layout.out_channels} stride {layout.stride} {activation}"
            + ("" if layout.keeps_shape else " changing"),
            layout,
            partial(make_operation, layout, operation, nn.BatchNorm2d, ACTIVATIONS[activation]),
        )
        for layout, operation in zip(layouts, operations, strict=True)
        if operation.kind != SKIP
    ]


def head_layer(last: LayerLayout, channels: int, classes: int, activation: str) -> LayerSpec:
    """The head of `channels` channels behind the last layer, and the classifier."""
    build = partial(Head, last.out_channels, channels, classes, nn.BatchNorm2d, ACTIVATIONS[activation])
    shape = (last.out_channels, last.out_size, last.out_size)
    return LayerSpec(f"compact head {channels} classes {classes} {activation}", shape, build)


def _layer(key: str, layout: LayerLayout, build: Callable[[], nn.Module]) -> LayerSpec:
    return LayerSpec(f"compact {key}", (layout.in_channels, layout.size, layout.size), build)
