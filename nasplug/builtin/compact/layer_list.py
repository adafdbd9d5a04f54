"""The layers of stand-alone networks one by one, for costs that are summed over them; see `SearchSpace.layer_list`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from nasplug.builtin.compact.genotype import SKIP, Operation
from nasplug.builtin.compact.layout import LayerLayout
from nasplug.builtin.compact.network import Head, Stem
from nasplug.builtin.compact.operations import ACTIVATIONS, make_operation
from nasplug.builtin.listed_layers import list_layer
from nasplug.parts import LayerSpec


def list_stem(layout: LayerLayout, activation: str) -> LayerSpec:
    """The stem."""
    build = partial(Stem, layout, nn.BatchNorm2d, ACTIVATIONS[activation])
    return list_layer(f"compact stem {_describe(layout, activation)}", layout.input, build)


def list_stage(layouts: Sequence[LayerLayout], operations: Sequence[Operation], activation: str) -> list[LayerSpec]:
    """The layers of a stage that are not left out."""
    return [
        list_layer(
            f"compact {operation} {_describe(layout, activation)}",
            layout.input,
            partial(make_operation, layout, operation, nn.BatchNorm2d, ACTIVATIONS[activation]),
        )
        for layout, operation in zip(layouts, operations, strict=True)
        if operation.kind != SKIP
    ]


def list_head(last: LayerLayout, channels: int, classes: int, activation: str) -> LayerSpec:
    """The head of `channels` channels behind the last layer, and the classifier."""
    build = partial(Head, last.out_channels, channels, classes, nn.BatchNorm2d, ACTIVATIONS[activation])
    return list_layer(f"compact head {channels} to {classes} {activation}", last.output, build)


def _describe(layout: LayerLayout, activation: str) -> str:
    """What a layer depends on besides its operation and the maps that it reads."""
    shortcut = "kept" if layout.keeps_shape else "changed"
    return f"{layout.out_channels} stride {layout.stride} shape {shortcut} {activation}"
