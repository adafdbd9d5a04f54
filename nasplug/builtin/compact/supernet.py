"""The supernet: every architecture of the space, each candidate and each width weighed by its choice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.builtin.compact.channels import Channels, narrow
from nasplug.builtin.compact.genotype import Operation, layer_place, width_place
from nasplug.builtin.compact.layout import LayerLayout, NetworkLayout
from nasplug.builtin.compact.network import Head, Stem
from nasplug.builtin.compact.operations import Activation
from nasplug.builtin.compact.supernet_layer import MixedLayer
from nasplug.parts import Block, Choices, Layer, Network, Outputs, Supernet
from nasplug.supernets import ComputedWeights, Norm, affine_batch_norm, pointwise, recalibrate, take_path_weights
from nasplug.values import Genotype


class SupernetStage(nn.Module):
    """The layers of one stage, as wide as its widest width, and the choice of width."""

    masks: Tensor

    def __init__(
        self,
        number: int,
        layouts: Sequence[LayerLayout],
        operations: Sequence[Sequence[Operation]],
        widths: Sequence[int],
        choices: Choices,
        activation: Activation,
    ) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.width_row = choices.rows[width_place(number)] if len(widths) > 1 else None
        """The row of the choice of width, if there are several."""
        self.rows = tuple(choices.rows[layer_place(number, layer)] for layer in range(1, len(layouts) + 1))
        """The row of the choice of operation of each layer."""
        self.layers = nn.ModuleList(
            MixedLayer(layout, candidates, activation) for layout, candidates in zip(layouts, operations, strict=True)
        )
        masks = torch.arange(max(widths)) < torch.tensor(widths)[:, None]
        self.register_buffer("masks", masks.to(torch.get_default_dtype()), persistent=False)
        self.output = attrs.evolve(layouts[-1].output, channels=max(widths))
        """Its maps, of the widest width."""

    def channels(self, weights: ComputedWeights) -> Channels:
        """The channels of its maps that are computed."""
        if self.width_row is None:
            return Channels(self.output.channels, None)
        count = max((self.widths[column] for column in weights.columns[self.width_row]), default=0)
        row = weights.rows[self.width_row][: len(self.widths), None]
        return Channels(count, (row * self.masks[:, :count]).sum(0))

    def run_layer(self, layer: int, x: Tensor, weights: ComputedWeights, inputs: Channels | None = None) -> Tensor:
        """The layer of this number, counted from 0; `inputs` are the channels of `x` where they are not the stage's."""
        outputs, row = self.channels(weights), self.rows[layer]
        mixed: Tensor = self.layers[layer](x, weights.columns[row], weights.rows[row], inputs or outputs, outputs)
        return mixed

    def rows_of(self, row: int | None = None) -> tuple[int, ...]:
        """The rows of the table of choices on which a step depends: that of the width, and `row`."""
        return tuple(sorted(number for number in (self.width_row, row) if number is not None))

    def widen(self, x: Tensor) -> Tensor:
        """The map with zeros in place of the channels that are not computed."""
        missing = self.output.channels - x.shape[1]
        return F.pad(x, (0, 0, 0, 0, 0, missing)) if missing else x

    def prune(self, kept: Sequence[Sequence[int]]) -> None:
        """Removes the modules of operations that the table of choices, row by row, no longer keeps."""
        for row, layer in zip(self.rows, self.layers, strict=True):
            cast("MixedLayer", layer).keep(kept[row])


class CompactSupernet(Supernet):
    """Every layer is the weighted sum of its candidates; of every stage the widths share their weights.

    Only active candidates and the channels of active widths are computed: of a single path, that path. Batch norms use
    batch statistics until `recalibrate` has measured the statistics for evaluation.
    """

    static_graph = True

    def __init__(
        self,
        layout: NetworkLayout,
        operations: Sequence[Sequence[Sequence[Operation]]],
        widths: Sequence[Sequence[int]],
        choices: Choices,
        activation: Activation,
    ) -> None:
        super().__init__()
        self.choices, self.activation = choices, activation
        norm = partial(Norm, affine=True)
        self.stem = Stem(layout.stem, norm, activation)
        self.stages = nn.ModuleList(
            SupernetStage(number, *parts, choices, activation)
            for number, parts in enumerate(zip(layout.stages, operations, widths, strict=True))
        )
        self.head = Head(layout.last.out_channels, layout.head, layout.classes, norm, activation)

    def outputs(self, images: Tensor) -> Outputs:
        """Logits, and as taps the outputs of the stages at their widest."""
        weights = ComputedWeights.of(self.choices)
        x, taps, inputs = self._run_stem(_enter([images]), weights), [], None
        for stage in self._stages():
            for layer in range(len(stage.layers)):
                x = stage.run_layer(layer, x, weights, None if layer else inputs)
            taps.append(stage.widen(x))
            inputs = stage.channels(weights)
        return Outputs(logits=self._run_head(x), taps=tuple(taps))

    def path_weights(self, genotype: Genotype, network: Network) -> Mapping[str, Tensor]:
        """Of each tensor its first channels, with which the network computes what this path does."""

        def find(name: str) -> str:
            if not name.startswith("stages."):
                return name
            _, stage, layer, rest = name.split(".", 3)
            (operation,) = genotype[layer_place(int(stage), int(layer))]
            return f"stages.{stage}.layers.{int(layer) - 1}.candidates.{operation}.{rest}"

        return take_path_weights(self, network, find, narrower=True)

    def prune(self) -> None:
        """Removes the modules of deleted operations. The function computed stays the same."""
        self.choices.refresh()
        kept = [[column for column, is_kept in enumerate(row) if is_kept] for row in self.choices.kept.tolist()]
        for stage in self._stages():
            stage.prune(kept)

    def blocks(self) -> tuple[Block, ...]:
        """The stages, the stem as part of the first, the head of none.

        A block reads maps of the widest width of the stage before it, whatever the choice there is.
        """
        blocks, before = [], None
        for stage in self._stages():
            blocks.append(
                Block(
                    inputs=() if before is None else (before.output,),
                    output=stage.output,
                    enter=_enter,
                    layers=tuple(self._layers(stage, None)),
                    leave=stage.widen,
                    modules=(self.stem, stage) if before is None else (stage,),
                )
            )
            before = stage
        return tuple(blocks)

    def whole(self) -> Block:
        """The whole network: the stem, the layers of all stages in sequence, and the head."""
        layers, before = list[Layer](), None
        for stage in self._stages():
            layers += self._layers(stage, before)
            before = stage
        return Block(inputs=(), output=None, enter=_enter, layers=tuple(layers), leave=self._run_head, modules=(self,))

    def recalibrate(self, batches: Iterable[Tensor]) -> None:
        """Measures the statistics of batch norms for evaluation, on batches of images with the present choices."""
        recalibrate(self, batches)

    def _layers(self, stage: SupernetStage, before: SupernetStage | None) -> Iterator[Layer]:
        """The layers of a stage, the stem among those of the first; `before` is the stage whose widths it reads."""
        if stage is self.stages[0]:
            yield Layer(stage.rows_of(), self.stem, lambda x: self._run_stem(x, ComputedWeights.of(self.choices)))
        for layer, (row, module) in enumerate(zip(stage.rows, stage.layers, strict=True)):
            rows = stage.rows_of(row)
            compute: Callable[[Any], Tensor] = partial(self._run_layer, stage, layer, before)
            if layer == 0 and before is not None:
                rows = tuple(sorted({*before.rows_of(), *rows}))
            yield Layer(rows, module, compute)

    def _run_layer(self, stage: SupernetStage, layer: int, before: SupernetStage | None, x: Tensor) -> Tensor:
        weights, inputs = ComputedWeights.of(self.choices), None
        if layer == 0 and stage is not self.stages[0]:
            inputs = Channels(x.shape[1], None) if before is None else before.channels(weights)
        return stage.run_layer(layer, x, weights, inputs)

    def _run_stem(self, images: Tensor, weights: ComputedWeights) -> Tensor:
        """The stem, as wide as the first stage."""
        outputs, convolution = next(self._stages()).channels(weights), self.stem.convolution
        x = F.conv2d(images, narrow(convolution.weight, outputs.count), None, convolution.stride, convolution.padding)
        return self.activation(affine_batch_norm(x, [self.stem.norm], outputs.factors(1), [outputs.count]))

    def _run_head(self, x: Tensor) -> Tensor:
        """The logits (N, classes) from the channels of the last stage that are computed."""
        head, count = self.head, x.shape[1]
        if head.convolution is not None and head.norm is not None:
            weight = narrow(head.convolution.weight, head.convolution.out_channels, count)
            pooled = self.activation(head.norm(pointwise(x, weight))).mean((2, 3))
            count = head.convolution.out_channels
        else:
            pooled = x.mean((2, 3))
        dropped = F.dropout(pooled, self.dropout, self.training)
        return F.linear(
            dropped, narrow(head.classifier.weight, head.classifier.out_features, count), head.classifier.bias
        )

    def _stages(self) -> Iterator[SupernetStage]:
        return (cast("SupernetStage", stage) for stage in self.stages)


def _enter(maps: Sequence[Tensor]) -> Tensor:
    return maps[0].contiguous(memory_format=torch.channels_last)
