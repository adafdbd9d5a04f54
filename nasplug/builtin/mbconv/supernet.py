"""The supernet: every architecture of the space, weighed by its choices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from nasplug.builtin.mbconv.layers import Head, Stem
from nasplug.builtin.mbconv.names import Operation
from nasplug.builtin.mbconv.plan import SupernetPlan
from nasplug.builtin.mbconv.supernet_block import Features, SupernetBlock, Weights
from nasplug.parts import Block, Choices, Layer, Outputs, Supernet
from nasplug.supernets import Norm, recalibrate


class MBConvSupernet(Supernet):
    """Every layer is the weighted sum of its candidates, every block the weighted sum of its cells.

    Only what counts is computed: with a single path alive, that path. Batch norms are affine (DNA) and use batch
    statistics; `recalibrate` measures those with which the network is evaluated.
    """

    static_graph = True

    def __init__(self, plan: SupernetPlan, operations: Sequence[Operation], choices: Choices) -> None:
        super().__init__()
        self.choices = choices
        self._plan = plan
        norm = partial(Norm, affine=True)
        self.stem = Stem(plan.stem, norm)
        self.body = nn.ModuleList(
            SupernetBlock(block, cells, operations, choices) for block, cells in enumerate(plan.blocks)
        )
        self.head = Head(plan.outputs[-1].channels, plan.head, plan.classes, norm)

    def outputs(self, images: Tensor) -> Outputs:
        """Logits, and as taps the outputs of the blocks."""
        weights = Weights.now(self.choices)
        x, taps = self._enter([images]), []
        for block in self._each():
            x = block(x, weights)
            taps.append(x)
        return Outputs(logits=self.head(x, self.dropout), taps=tuple(taps))

    def prune(self) -> None:
        """Removes the modules of deleted cells and operations. The function computed stays the same."""
        self.choices.refresh()
        kept = [[column for column, stays in enumerate(row) if stays] for row in self.choices.kept.tolist()]
        for block in self._each():
            block.prune(kept)

    def blocks(self) -> tuple[Block, ...]:
        """The blocks of the space; the stem is part of the first, the head of none."""
        return tuple(self._view(number, block) for number, block in enumerate(self._each()))

    def whole(self) -> Block:
        """The whole network: the layers of all blocks in a row, with the stem before and the head behind them."""
        views = self.blocks()
        layers = list(views[0].layers)
        for before, view in pairwise(views):
            first = view.layers[0]
            layers += [Layer(first.rows, first.module, _chained(before, first)), *view.layers[1:]]
        return Block(
            inputs=(),
            output=None,
            enter=views[0].enter,
            layers=tuple(layers),
            leave=lambda features: self.head(views[-1].leave(features), self.dropout),
            modules=(self,),
        )

    def recalibrate(self, batches: Iterable[Tensor]) -> None:
        """Measures the batch norms' statistics for evaluation on batches of images, with what now counts and weighs."""
        recalibrate(self, batches)

    def _view(self, number: int, block: SupernetBlock) -> Block:
        def layer(step: int, module: nn.Module) -> Layer:
            def compute(state: Any) -> Features:
                weights = Weights.now(self.choices)
                return block.later(step, state, weights) if step else block.first(state, weights)

            return Layer(block.rows_of(step), module, compute)

        return Block(
            inputs=self._plan.outputs[number - 1 : number] if number else (),
            output=self._plan.outputs[number],
            enter=self._enter if number == 0 else _single,
            layers=tuple(layer(step, module) for step, module in enumerate(block.steps)),
            leave=lambda features: block.mix(features, Weights.now(self.choices)),
            modules=(block,) if number else (self.stem, block),
        )

    def _enter(self, maps: Sequence[Tensor]) -> Tensor:
        features: Tensor = self.stem(_single(maps).contiguous(memory_format=torch.channels_last))
        return features

    def _each(self) -> Iterator[SupernetBlock]:
        return (cast("SupernetBlock", block) for block in self.body)


def _single(maps: Sequence[Tensor]) -> Tensor:
    return maps[0]


def _chained(before: Block, layer: Layer) -> Callable[[Features], Features]:
    """The first layer of a block, from the state in which the block before it ends."""
    return lambda features: layer.compute(before.leave(features))
