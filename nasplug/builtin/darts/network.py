"""The stand-alone network of a genotype (DARTS, cnn/model.py: NetworkCIFAR and NetworkImageNet)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasplug.builtin.darts.genotype import CellGraph, Pick
from nasplug.builtin.darts.layers import (
    FactorizedReduce,
    ReluConvNorm,
    make_auxiliary_head,
    make_operation,
    make_stem,
)
from nasplug.builtin.darts.layout import Blueprint, CellLayout, tap_cells
from nasplug.builtin.darts.side_by_side import CellPass, group_edges
from nasplug.builtin.layers import trains_on_cpu
from nasplug.parts import Network, Outputs
from nasplug.supernets import drop_path, drop_path_mask
from nasplug.supernets.concatenate import concatenate
from nasplug.values import ImageShape, MapShape


class Cell(nn.Module):
    """One cell: every node is the plain sum of its candidates, the output the concatenation of nodes.

    An input that no node reads is not preprocessed. DARTS builds those layers nevertheless; all published cells read
    both inputs.
    """

    def __init__(self, layout: CellLayout, graph: CellGraph) -> None:
        super().__init__()
        self.concat = graph.concat
        self.nodes = name_modules(graph)
        self.waves = group_edges(self.nodes)
        self.preprocess = nn.ModuleDict()
        for source in sorted(graph.inputs):
            halves, channels = source == 0 and layout.halves_older, (layout.inputs[source], layout.channels)
            self.preprocess[str(source)] = (
                FactorizedReduce(*channels, layout.dims) if halves else ReluConvNorm(*channels)
            )
        self.operations = nn.ModuleDict(
            {
                name: make_operation(pick.operation, layout.channels, layout.stride(pick.input), layout.dims)
                for node in self.nodes
                for name, pick in node.items()
            }
        )

    def forward(self, older: Tensor | None, newer: Tensor | None, drop: float) -> Tensor:
        """The outputs of cells k-2 and k-1 to (N, nodes * channels, H, W); an input that is not read may be None."""
        states: dict[int, Tensor] = {}
        for source, x in enumerate((older, newer)):
            if str(source) in self.preprocess:
                states[source] = self.preprocess[str(source)](x)
        read = next(iter(states.values()))
        if trains_on_cpu(self, read):
            return self._compute_side_by_side(states, self._draw_masks(read, drop))
        for number, node in enumerate(self.nodes, 2):
            terms = []
            for name, pick in node.items():
                module = self.operations[name]
                term = module(states[pick.input])
                if drop > 0 and not isinstance(module, nn.Identity):
                    term = drop_path(term, drop)
                terms.append(term)
            states[number] = sum(terms[1:], start=terms[0])
        return torch.cat([states[number] for number in self.concat], 1)

    def _compute_side_by_side(self, states: dict[int, Tensor], masks: dict[str, Tensor]) -> Tensor:
        states = CellPass(self.operations, states, masks).compute(self.waves)
        return concatenate([states[number] for number in self.concat])

    def _draw_masks(self, like: Tensor, drop: float) -> dict[str, Tensor]:
        """The drop path masks of all candidates but identities, drawn in the order in which `forward` draws them."""
        if drop == 0:
            return {}
        names = [name for node in self.nodes for name in node]
        return {
            name: drop_path_mask(like, drop) for name in names if not isinstance(self.operations[name], nn.Identity)
        }


def name_modules(graph: CellGraph) -> list[dict[str, Pick]]:
    """For each node its candidates by the names of their modules.

    A name is "sep_conv_3x3@0>2" at node 2, and "sep_conv_3x3@0>2#2" for the same candidate a second time.
    """
    return [
        {
            f"{pick}>{number}" + (f"#{before + 1}" if (before := node[:index].count(pick)) else ""): pick
            for index, pick in enumerate(node)
        }
        for number, node in enumerate(graph.nodes, 2)
    ]


class DartsNetwork(Network):
    """Stem, cells, global average pooling and a linear classifier."""

    static_graph = True

    def __init__(self, blueprint: Blueprint, shape: ImageShape, auxiliary: str | None) -> None:
        """`auxiliary` is the kind of auxiliary head to build; None: none."""
        super().__init__()
        layout = blueprint.layout
        self.depth = len(layout.cells)
        self.auxiliary_after = layout.auxiliary_after
        self.stem = make_stem(layout.stem, shape.channels, layout.stem_channels[0], dims=shape.dims)
        self.cells = nn.ModuleDict({str(cell.index): Cell(cell, graph) for cell, graph in blueprint.built_cells})
        self.classifier = nn.Linear(layout.out_channels, shape.classes)
        self.auxiliary: nn.Module | None = None
        if auxiliary is not None:
            cell, graph = layout.cells[self.auxiliary_after], blueprint.graphs[self.auxiliary_after]
            assert graph is not None  # noqa: S101 - reductions and the last cell are always built
            maps = MapShape(len(graph.concat) * cell.channels, cell.out_size, cell.dims)
            self.auxiliary = make_auxiliary_head(auxiliary, layout.stem, maps, shape.classes)

    def outputs(self, images: Tensor) -> Outputs:
        """Logits, taps and, in training, auxiliary logits.

        If the cell of a tap is not built, the tap is the output of the cell before it, which the next reduction reads.
        """
        older, newer = self.stem(images)
        drop = self.drop_path if self.training else 0.0
        taps, extra, latest = [], None, newer
        for index in range(self.depth):
            built = str(index) in self.cells
            older, newer = newer, self.cells[str(index)](older, newer, drop) if built else None
            latest = latest if newer is None else newer
            if index in tap_cells(self.depth):
                taps.append(latest)
            if index == self.auxiliary_after and self.auxiliary is not None and self.training:
                extra = self.auxiliary(latest)
        pooled = F.dropout(latest.mean((2, 3)), self.dropout, self.training)
        return Outputs(logits=self.classifier(pooled), taps=tuple(taps), auxiliary=extra)
