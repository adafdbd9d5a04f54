"""Blocks: the consecutive pieces of a supernet that can be computed, trained and rated on their own (DNA)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs
from torch import Tensor, nn

from nasplug.values import MapShape


@attrs.frozen
class Layer:
    """One step of the computation of a block, from a state (whatever the space likes) to the next.

    What it computes depends on no other choices than those of its `rows`: paths that agree in these, and in those of
    the layers before, share its result.
    """

    rows: tuple[int, ...]
    """Rows of the table of choices that decide what this layer computes; where none of their candidates counts, the
    state passes through as it is."""
    module: nn.Module
    """What is computed with: all of its batch norms are this layer's."""
    compute: Callable[[Any], Any]


@attrs.frozen
class Block:
    """One block of a supernet, computed with the candidates that count at the time of the call.

    The first block reads images, and its stem is part of it; the others read feature maps of the shapes `inputs`.
    """

    inputs: tuple[MapShape, ...]
    output: MapShape | None
    """None: logits."""
    enter: Callable[[Sequence[Tensor]], Any]
    """From the maps read, (N, C, H, W) each, to the state that the first layer takes."""
    layers: tuple[Layer, ...]
    leave: Callable[[Any], Tensor]
    """From the state after the last layer to the output, (N, C, H, W)."""
    modules: tuple[nn.Module, ...]
    """Whose parameters are the block's weights."""

    def __call__(self, maps: Sequence[Tensor]) -> Tensor:
        """The output of the block, layer after layer."""
        state = self.enter(maps)
        for layer in self.layers:
            state = layer.compute(state)
        return self.leave(state)

    def parameters(self) -> Iterable[nn.Parameter]:
        """The weights of the block."""
        return (parameter for module in self.modules for parameter in module.parameters())
