"""The stand-alone network of a genotype (DARTS, cnn/model.py: NetworkCIFAR and NetworkImageNet)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasplug.builtin.darts.auxiliary import auxiliary_head
from nasplug.builtin.darts.build import Blueprint
from nasplug.builtin.darts.operations import FactorizedReduce, ReluConvNorm, operation
from nasplug.builtin.darts.plan import CellPlan, tapped
from nasplug.builtin.darts.stem import build_stem
from nasplug.builtin.darts.topology import CellGraph
from nasplug.parts import Network, Outputs
from nasplug.values import ImageShape


def drop_path(x: Tensor, probability: float) -> Tensor:
    """Zeroes whole samples of (N, C, H, W) with this probability and scales the others to keep the mean (DARTS)."""
    keep = 1.0 - probability
    mask = x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(keep)
    return x * (mask / keep)


class Cell(nn.Module):
    """One cell: every node is the plain sum of its candidates, the output the concatenation of nodes.

    An input that no node reads is not preprocessed (DARTS builds those layers nevertheless; every cell that it or its
    relatives published reads both inputs).
    """

    def __init__(self, plan: CellPlan, graph: CellGraph) -> None:
        super().__init__()
        self.graph = graph
        self.preprocess = nn.ModuleDict()
        for source in sorted(graph.inputs):
            layer = FactorizedReduce if source == 0 and plan.halves_older else ReluConvNorm
            self.preprocess[str(source)] = layer(plan.inputs[source], plan.channels)
        self.operations = nn.ModuleDict(
            {
                f"{pick}>{number}": operation(pick.operation, plan.channels, plan.stride(pick.input))
                for number, node in enumerate(graph.nodes, 2)
                for pick in node
            }
        )

    def forward(self, older: Tensor | None, newer: Tensor | None, drop: float) -> Tensor:
        """The outputs of cells k-2 and k-1 to (N, nodes * channels, H, W); an input that is not read may be None."""
        states: dict[int, Tensor] = {}
        for source, x in enumerate((older, newer)):
            if str(source) in self.preprocess:
                states[source] = self.preprocess[str(source)](x)
        for number, picks in enumerate(self.graph.nodes, 2):
            terms = []
            for pick in picks:
                module = self.operations[f"{pick}>{number}"]
                term = module(states[pick.input])
                if drop > 0 and not isinstance(module, nn.Identity):
                    term = drop_path(term, drop)
                terms.append(term)
            states[number] = sum(terms[1:], start=terms[0])
        return torch.cat([states[number] for number in self.graph.concat], 1)


class DartsNetwork(Network):
    """Stem, cells, global average pooling and a linear classifier."""

    static_graph = True

    def __init__(self, blueprint: Blueprint, shape: ImageShape, auxiliary: bool) -> None:
        super().__init__()
        plan = blueprint.plan
        self.depth = len(plan.cells)
        self.auxiliary_after = plan.auxiliary_after
        self.stem = build_stem(plan.stem, shape.channels, plan.stem_channels[0])
        self.cells = nn.ModuleDict({str(cell.index): Cell(cell, graph) for cell, graph in blueprint.built})
        self.classifier = nn.Linear(plan.out_channels, shape.classes)
        self.auxiliary: nn.Module | None = None
        if auxiliary:
            cell, graph = plan.cells[self.auxiliary_after], blueprint.graphs[self.auxiliary_after]
            assert graph is not None  # noqa: S101 - reductions and the last cell are always built
            self.auxiliary = auxiliary_head(plan.stem, len(graph.concat) * cell.channels, cell.out_size, shape.classes)

    def outputs(self, images: Tensor) -> Outputs:
        """Logits, taps and, in training, auxiliary logits.

        Where the cell of a tap was dropped, the tap is the state before it, which the reduction behind it reads.
        """
        older, newer = self.stem(images)
        drop = self.drop_path if self.training else 0.0
        taps, extra, latest = [], None, newer
        for index in range(self.depth):
            built = str(index) in self.cells
            older, newer = newer, self.cells[str(index)](older, newer, drop) if built else None
            latest = latest if newer is None else newer
            if index in tapped(self.depth):
                taps.append(latest)
            if index == self.auxiliary_after and self.auxiliary is not None and self.training:
                extra = self.auxiliary(latest)
        pooled = F.dropout(latest.mean((2, 3)), self.dropout, self.training)
        return Outputs(logits=self.classifier(pooled), taps=tuple(taps), auxiliary=extra)
