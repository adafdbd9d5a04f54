"""Blocks: the consecutive pieces of a supernet that can be computed, trained and rated on their own (DNA)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs
from torch import Tensor, nn

from nasplug.values import MapShape


@attrs.frozen
class Layer:
    """One step of the computation of a block, from one state to the next; a state is of any type the space likes.

    What a layer computes may depend on the choices of its `rows` and on no others. Paths that agree in these, and in
    those of all layers before, share its result when they are rated.
    """

    rows: tuple[int, ...]
    """Rows of `Choices` that decide what this layer computes; if none of their candidates counts, the layer must return
    its state unchanged."""
    module: nn.Module
    """The module that `compute` uses; all batch norms in it belong to this layer alone."""
    compute: Callable[[Any], Any]
    """From a state to the next."""


@attrs.frozen
class Block:
    """One block of a supernet, computed with the candidates that count at the time of the call (`Choices`).

    The first block includes the stem and reads images; every other block reads feature maps.
    """

    inputs: tuple[MapShape, ...]
    """Shapes of the feature maps that it reads; empty for the first block."""
    output: MapShape | None
    """Shape of the feature map that it gives; None: it gives logits (N, classes)."""
    enter: Callable[[Sequence[Tensor]], Any]
    """From the maps read, (N, C, H, W) each, to the state that the first layer takes."""
    layers: tuple[Layer, ...]
    leave: Callable[[Any], Tensor]
    """From the state after the last layer to the output, (N, C, H, W), or to logits (N, classes)."""
    modules: tuple[nn.Module, ...]
    """The modules whose parameters are the weights of this block."""

    def __call__(self, maps: Sequence[Tensor]) -> Tensor:
        """The output of the block; `maps` are those of `inputs`, or the images as the only one in the first block."""
        state = self.enter(maps)
        for layer in self.layers:
            state = layer.compute(state)
        return self.leave(state)

    def parameters(self) -> Iterable[nn.Parameter]:
        """The weights of the block."""
        return (parameter for module in self.modules for parameter in module.parameters())
