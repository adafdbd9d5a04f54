"""The supernet of DARTS as in its published code (cnn/model_search.py): a module for every operation on every edge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from nasplug.builtin.darts.candidates import Candidate, Factorised, Reduction, Separable
from nasplug.builtin.darts.genotype import DILATED, FACTORISED, NONE, SEPARABLE, SKIP
from nasplug.builtin.darts.layers import CifarStem, make_factorised, make_stem
from nasplug.builtin.darts.supernet import DartsSupernet
from nasplug.builtin.darts.supernet_cell import SupernetCell, candidate_name
from nasplug.builtin.layers import pool_arguments
from nasplug.builtin.plain_operations import (
    FactorizedReduce,
    PlainSupernet,
    WeightedCandidates,
    Zero,
    find_layers,
    pool,
    relu_conv_norm,
    separable,
)


class PlainDarts(PlainSupernet):
    """Cells of plain edges around the stem and the classifier."""

    def __init__(self, net: DartsSupernet) -> None:
        super().__init__()
        self.choices = net.choices
        self.stem = _stem(net)
        self.cells = nn.ModuleList(PlainCell(cell) for cell in _cells(net))
        self.classifier = nn.Linear(net.classifier.in_features, net.classifier.out_features)

    def forward(self, images: Tensor) -> Tensor:
        """The logits of images (N, C, H, W)."""
        candidates = WeightedCandidates(self.choices)
        older, newer = self.stem(images)
        for cell in self.cells:
            older, newer = newer, cell(older, newer, candidates)
        logits: Tensor = self.classifier(newer.mean((2, 3)))
        return logits

    def pair_layers(self, net: DartsSupernet) -> Iterator[tuple[nn.Module, nn.Module]]:
        """Pairs every layer with weights with the layer of `net` whose weights it copies."""
        yield from zip(find_layers(self.stem), find_layers(net.stem), strict=True)
        yield self.classifier, net.classifier
        for plain, cell in zip(self.cells, _cells(net), strict=True):
            yield from cast("PlainCell", plain).pair_layers(cell)


class PlainCell(nn.Module):
    """One cell, with a module for every operation from every earlier state to every node."""

    def __init__(self, cell: SupernetCell) -> None:
        super().__init__()
        layout, self.nodes = cell.layout, cell.nodes
        self.out_shape = layout.nodes.tensor_shape
        halving = FactorizedReduce(layout.inputs[0], layout.channels)
        self.older: nn.Module = halving if layout.halves_older else relu_conv_norm(layout.inputs[0], layout.channels)
        self.newer = relu_conv_norm(layout.inputs[1], layout.channels)
        self.edges: dict[tuple[int, int], tuple[int, list[int], list[str]]] = {}
        """By node and state, the row of the choice, the columns of the operations and the names of their modules."""
        self.operations = nn.ModuleDict()
        for member in cell.members:
            _, columns, names = self.edges.setdefault((member.target, member.source), (member.row, [], []))
            columns.append(member.column)
            names.append(candidate_name(member.operation, member.source, member.target))
            self.operations[names[-1]] = _operation(
                member.operation, layout.channels, layout.stride(member.source), layout.dims
            )

    def forward(self, older: Tensor, newer: Tensor, candidates: WeightedCandidates) -> Tensor:
        """From the outputs of cells k-2 and k-1 to (N, nodes * channels, H, W)."""
        states = [self.older(older), self.newer(newer)]
        for node in range(2, self.nodes + 2):
            total: Tensor | None = None
            for source, state in enumerate(states):
                row, columns, names = self.edges[node, source]
                term = candidates.sum(row, columns, [self.operations[name] for name in names], state)
                total = term if total is None else total if term is None else total + term
            empty = (newer.shape[0], *self.out_shape)
            states.append(newer.new_zeros(empty) if total is None else total)
        return torch.cat(states[2:], 1)

    def pair_layers(self, cell: SupernetCell) -> Iterator[tuple[nn.Module, nn.Module]]:
        """Pairs every layer with weights with that of the fast cell."""
        for own, other in ((self.older, cell.older), (self.newer, cell.newer)):
            yield from zip(find_layers(own), find_layers(other), strict=True)
        for name, module in cell.candidates.items():
            yield from zip(find_layers(self.operations[name]), _convolutions(cast("Candidate", module)), strict=True)


def _stem(net: DartsSupernet) -> nn.Module:
    convolutions = [layer for layer in net.stem.modules() if isinstance(layer, nn.Conv2d)]
    kind = "cifar" if isinstance(net.stem, CifarStem) else "imagenet"
    dims = 2 if convolutions[0].kernel_size[0] > 1 else 1
    return make_stem(kind, convolutions[0].in_channels, convolutions[-1].out_channels, dims=dims)


def _cells(net: DartsSupernet) -> Iterator[SupernetCell]:
    return (cast("SupernetCell", cell) for cell in net.cells)


def _operation(name: str, channels: int, stride: int, dims: int) -> nn.Module:
    if name == NONE:
        return Zero(stride)
    if name == SKIP:
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels)
    if name == "max_pool_3x3":
        return pool(nn.MaxPool2d(**pool_arguments(stride, dims)), channels)
    if name == "avg_pool_3x3":
        return pool(nn.AvgPool2d(**pool_arguments(stride, dims), count_include_pad=False), channels)
    if name in DILATED:
        return separable(channels, DILATED[name], stride, 2, dims)
    if name == FACTORISED:
        convolutions = make_factorised(channels, stride, dims)
        return nn.Sequential(nn.ReLU(), *convolutions, nn.BatchNorm2d(channels, affine=False))
    kernel = SEPARABLE[name]
    return nn.Sequential(*separable(channels, kernel, stride, dims=dims), *separable(channels, kernel, 1, dims=dims))


def _convolutions(candidate: Candidate) -> list[nn.Module]:
    """The convolutions of a candidate, in the order of computation."""
    if isinstance(candidate, Separable):
        return [layer for pair in zip(candidate.depthwise, candidate.pointwise, strict=True) for layer in pair]
    if isinstance(candidate, Factorised):
        return [candidate.across, candidate.down]
    return [cast("Reduction", candidate).even, cast("Reduction", candidate).odd]
