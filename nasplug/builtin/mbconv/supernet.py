"""The supernet: every architecture of the space, each candidate weighed by its choice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from nasplug.builtin.mbconv.genotype import Operation, cell_place, layer_place
from nasplug.builtin.mbconv.layout import SupernetLayout
from nasplug.builtin.mbconv.network import Head, Stem
from nasplug.builtin.mbconv.supernet_block import Features, SupernetBlock
from nasplug.parts import Block, Choices, Layer, Network, Outputs, Supernet
from nasplug.supernets import ComputedWeights, Norm, recalibrate, take_path_weights
from nasplug.values import Genotype


class MBConvSupernet(Supernet):
    """Every layer is the weighted sum of its candidates, every block the weighted sum of its cells.

    Only active candidates are computed: of a single path, that path. Batch norms are affine (DNA) and use batch
    statistics until `recalibrate` has measured the statistics for evaluation.
    """

    static_graph = True

    def __init__(self, layout: SupernetLayout, operations: Sequence[Operation], choices: Choices) -> None:
        super().__init__()
        self.choices = choices
        self._layout = layout
        norm = partial(Norm, affine=True)
        self.stem = Stem(layout.stem, norm)
        self.body = nn.ModuleList(
            SupernetBlock(block, cells, operations, choices) for block, cells in enumerate(layout.blocks)
        )
        self.head = Head(layout.outputs[-1].channels, layout.head, layout.classes, norm)

    def outputs(self, images: Tensor) -> Outputs:
        """Logits, and as taps the outputs of the blocks."""
        weights = ComputedWeights.of(self.choices)
        x, taps = self._enter([images]), []
        for block in self._blocks():
            x = block(x, weights)
            taps.append(x)
        return Outputs(logits=self.head(x, self.dropout), taps=tuple(taps))

    def path_weights(self, genotype: Genotype, network: Network) -> Mapping[str, Tensor]:
        """Those of the path's candidates, for a network of the supernet's size."""

        def find(name: str) -> str:
            if not name.startswith("blocks."):
                return name
            _, block, layer, rest = name.split(".", 3)
            (cell,) = genotype[cell_place(int(block))]
            (operation,) = genotype[layer_place(int(block), int(layer) + 1)]
            return f"body.{block}.steps.{layer}.{cell}.candidates.{operation}.{rest}"

        return take_path_weights(self, network, find)

    def prune(self) -> None:
        """Removes the modules of deleted cells and operations. The function computed stays the same."""
        self.choices.refresh()
        kept = [[column for column, is_kept in enumerate(row) if is_kept] for row in self.choices.kept.tolist()]
        for block in self._blocks():
            block.prune(kept)

    def blocks(self) -> tuple[Block, ...]:
        """The blocks of the space; the stem is part of the first, the head of none."""
        return tuple(self._view(number, block) for number, block in enumerate(self._blocks()))

    def whole(self) -> Block:
        """The whole network: the stem, the layers of all blocks in sequence, and the head."""
        views = self.blocks()
        layers = list(views[0].layers)
        for before, view in pairwise(views):
            first = view.layers[0]
            layers += [Layer(first.rows, first.module, _continue_from(before, first)), *view.layers[1:]]
        return Block(
            inputs=(),
            output=None,
            enter=views[0].enter,
            layers=tuple(layers),
            leave=lambda features: self.head(views[-1].leave(features), self.dropout),
            modules=(self,),
        )

    def recalibrate(self, batches: Iterable[Tensor]) -> None:
        """Measures the statistics of batch norms for evaluation, on batches of images with the present choices."""
        recalibrate(self, batches)

    def _view(self, number: int, block: SupernetBlock) -> Block:
        def layer(step: int, module: nn.Module) -> Layer:
            def compute(state: Any) -> Features:
                weights = ComputedWeights.of(self.choices)
                return block.run_step(step, state, weights) if step else block.run_first(state, weights)

            return Layer(block.rows_of(step), module, compute)

        return Block(
            inputs=self._layout.outputs[number - 1 : number] if number else (),
            output=self._layout.outputs[number],
            enter=self._enter if number == 0 else _first_map,
            layers=tuple(layer(step, module) for step, module in enumerate(block.steps)),
            leave=lambda features: block.add_cells(features, ComputedWeights.of(self.choices)),
            modules=(block,) if number else (self.stem, block),
        )

    def _enter(self, maps: Sequence[Tensor]) -> Tensor:
        features: Tensor = self.stem(_first_map(maps).contiguous(memory_format=torch.channels_last))
        return features

    def _blocks(self) -> Iterator[SupernetBlock]:
        return (cast("SupernetBlock", block) for block in self.body)


def _first_map(maps: Sequence[Tensor]) -> Tensor:
    return maps[0]


def _continue_from(before: Block, layer: Layer) -> Callable[[Features], Features]:
    """The computation of the first layer of a block, from the last state of the block before it."""
    return lambda features: layer.compute(before.leave(features))
