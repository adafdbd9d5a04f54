"""The layers of stand-alone networks one by one, for costs that are summed over them; see `SearchSpace.layer_list`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from nasplug.builtin.listed_layers import list_layer
from nasplug.builtin.mbconv.genotype import Chain, Operation
from nasplug.builtin.mbconv.layout import LayerLayout, NetworkLayout, StemLayout
from nasplug.builtin.mbconv.network import Head, MBConv, Stem
from nasplug.parts import LayerSpec
from nasplug.values import ImageShape, MapShape


class Residual(nn.Module):
    """A branch and the addition of its input."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        total: Tensor = x + self.branch(x)
        return total


def network_layers(layout: NetworkLayout, chains: Sequence[Chain], shape: ImageShape) -> list[LayerSpec]:
    """Stem, the layers of all blocks, head."""
    last = layout.blocks[-1][-1]
    layers = [list_stem(layout.stem, shape), list_head(last, layout.head, layout.classes)]
    for layouts, chain in zip(layout.blocks, chains, strict=True):
        layers += block_layers(layouts, chain)
    return layers


def block_layers(layouts: Sequence[LayerLayout], chain: Chain) -> list[LayerSpec]:
    """The layers of one block, each with the addition of its input if it has one."""
    return [_list_layer(layout, operation) for layout, operation in zip(layouts, chain.operations, strict=True)]


def list_stem(stem: StemLayout, shape: ImageShape) -> LayerSpec:
    """The stem, as one layer."""
    key = f"mbconv stem {stem.channels} to {stem.out_channels} stride {stem.stride}"
    return list_layer(key, MapShape(shape.channels, shape.size, shape.dims), partial(Stem, stem, nn.BatchNorm2d))


def list_head(last: LayerLayout, channels: int, classes: int) -> LayerSpec:
    """The head with this many channels behind the layer `last`, and the classifier, as one layer."""
    build = partial(Head, last.out_channels, channels, classes, nn.BatchNorm2d)
    return list_layer(f"mbconv head {channels} to {classes}", last.output, build)


def _list_layer(layout: LayerLayout, operation: Operation) -> LayerSpec:
    def build() -> nn.Module:
        layer = MBConv(layout, operation, nn.BatchNorm2d)
        return Residual(layer) if layout.residual else layer

    key = f"mbconv {operation} to {layout.out_channels} stride {layout.stride}"
    return list_layer(key, layout.input, build)
