"""The part `darts` of the slot `--space`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from random import Random
from types import MappingProxyType
from typing import Self, cast

import attrs
from torch import Tensor, nn

from nasplug.builtin.darts.choices import (
    cell_candidates,
    decode_edges,
    decode_nodes,
    encode_genotype,
    make_choices,
)
from nasplug.builtin.darts.cost import block_cost, network_cost
from nasplug.builtin.darts.genotype import (
    NONE,
    PRESETS,
    SPACE,
    TYPES,
    CellGraph,
    expand_presets,
    is_per_type,
    read_cells,
    read_genotype,
)
from nasplug.builtin.darts.layer_list import block_layers, network_layers
from nasplug.builtin.darts.layers import AUXILIARY_HEADS
from nasplug.builtin.darts.layout import (
    IMAGENET_FROM,
    Blueprint,
    CellLayout,
    NetworkLayout,
    block_of,
    make_blueprint,
    make_layout,
    reduction_cells,
    resolve_stem,
    tap_cells,
)
from nasplug.builtin.darts.network import DartsNetwork
from nasplug.builtin.darts.notation import parse_genotype
from nasplug.builtin.darts.paths import make_paths, mutate_edge, mutate_subset, random_edges, random_subsets
from nasplug.builtin.darts.plain_supernet import PlainDarts
from nasplug.builtin.darts.supernet import DartsSupernet
from nasplug.builtin.darts.supernet_cell import SupernetCell
from nasplug.errors import InputError
from nasplug.parts import Choice, Choices, LayerSpec, Network, Paths, SearchSpace, Supernet, option
from nasplug.values import Costs, Drawing, Edge, Genotype, ImageShape

INPUTS = ("c_{k-2}", "c_{k-1}")
OUTPUT = "c_{k}"
"""Names of a cell's inputs and output in drawings, as in DARTS."""


@attrs.define
class Darts(SearchSpace):
    """Cells of nodes that read any earlier ones (DARTS), shared by type or each its own (SNPS, DNAD)."""

    name = genotypes_of = SPACE
    input_dims = frozenset({1, 2})
    auxiliary_heads = True
    has_skip_dropout = True
    unshared = MappingProxyType({"topology": "per-cell"})

    operations: tuple[str, ...] = option(
        ("darts",), f"candidate operations: {', '.join(PRESETS)}, or a list of operations"
    )
    topology: str = option(
        "per-type", "whether cells of one type share their topology", choices=("per-type", "per-cell")
    )
    choices: str = option("edge", "where candidates compete: on an edge or at a node", choices=("edge", "node"))
    nodes: int = option(4, "nodes of a cell", at_least=1, at_most=100)
    cells: int = option(8, "cells of the network", at_least=1, at_most=1000)
    channels: int = option(16, "channels of the first cell's nodes", at_least=2)
    stem: str = option(
        "auto", f"stem; auto is imagenet from {IMAGENET_FROM} pixels on", choices=("auto", "cifar", "imagenet")
    )
    auxiliary_head: str = option(
        "darts",
        "auxiliary head of networks that are trained with one: that of DARTS, or of SNPS and DNAD (nadd)",
        choices=AUXILIARY_HEADS,
    )

    def __attrs_post_init__(self) -> None:
        operations = expand_presets(self.operations)
        if self.choices == "node" and NONE in operations:
            presets = ", ".join(name for name, operations in PRESETS.items() if NONE not in operations)
            raise InputError(
                f"With choices='node' a candidate is left out by deleting it, so operation 'none' has no place in "
                f"'operations'; presets without it are {presets}."
            )

    def choice_list(self) -> tuple[Choice, ...]:
        """A choice for each edge or node of each cell that is searched."""
        blocks: dict[str, set[int]] = {name: set() for name in self.cell_names()}
        for cell in range(self.cells):
            blocks[self.cell_name(cell)].add(block_of(cell, self.cells))
        cells = {name: tuple(sorted(numbers)) for name, numbers in blocks.items()}
        return make_choices(cells, self.nodes, expand_presets(self.operations), self.choices == "edge")

    def supernet(self, shape: ImageShape) -> DartsSupernet:
        """The network of all architectures, with all its candidates batched (see `DartsSupernet`)."""
        choices = Choices(self.choice_list())
        return DartsSupernet(self.layout(shape), choices, shape, partial(self.make_cell, choices))

    def make_cell(self, choices: Choices, layout: CellLayout) -> SupernetCell:
        """A new cell of the supernet, on the CPU: what a derived space overrides whose cells compute otherwise."""
        return SupernetCell(layout, self.nodes, cell_candidates(choices, self.cell_name(layout.index), self.nodes))

    def plain_supernet(self, net: Supernet) -> nn.Module | None:
        """The supernet as its published code has it."""
        return PlainDarts(cast("DartsSupernet", net)).copy_weights(net)

    def decode(self, choices: Choices, weights: Tensor) -> Genotype:
        """DARTS's two best edges per node, or with choices='node' every candidate kept."""
        if self.choices == "node":
            return decode_nodes(choices, weights, self.cell_names(), self.nodes)
        return decode_edges(choices, weights, self.cell_names(), self.nodes)

    def encode(self, genotype: Genotype, choices: Choices) -> Tensor:
        """The candidates that a genotype holds, or a path through a block."""
        return encode_genotype(genotype, choices, self.cell_names(), self.nodes)

    def taps(self) -> int:
        """One before each reduction, and one at the end."""
        return len(tap_cells(self.cells))

    def paths(self, block: int | None) -> Paths:
        """The paths through the cells of a block, or of the network."""
        in_block = {self.cell_name(cell) for cell in range(self.cells) if block_of(cell, self.cells) == block}
        names = [name for name in self.cell_names() if block is None or name in in_block]
        return make_paths(names, self.nodes, self._usable_operations(), by_edge=self.choices == "edge")

    def path_cost(self, block: int, path: Genotype, before: Genotype | None, shape: ImageShape) -> Costs:
        """The cost of a block's cells, every cell built and both inputs of each preprocessed."""
        return block_cost(self.layout(shape), block, self._cells_of(block, path), shape)

    def path_layers(
        self, block: int, path: Genotype, before: Genotype | None, shape: ImageShape
    ) -> Sequence[LayerSpec]:
        """The layers of a block's cells, of which `path_cost` is the cost."""
        return block_layers(self.layout(shape), block, self._cells_of(block, path), shape)

    def network(self, genotype: Genotype, shape: ImageShape, auxiliary: bool = False) -> Network:
        """DARTS's evaluation network. The genotype may have any operations and nodes; InputError if it is malformed."""
        return DartsNetwork(self._blueprint(genotype, shape), shape, self.auxiliary_head if auxiliary else None)

    def cost(self, genotype: Genotype, shape: ImageShape) -> Costs:
        """What `network` costs, counted without building it."""
        return network_cost(self._blueprint(genotype, shape), shape)

    def layer_list(self, genotype: Genotype, shape: ImageShape) -> Sequence[LayerSpec]:
        """Stem, the preprocessing, operations, sums and concatenation of every cell that is built, classifier."""
        return network_layers(self._blueprint(genotype, shape), shape)

    def check(self, genotype: Genotype) -> None:
        """Raises InputError unless topology, cells, nodes and operations are those of this space.

        A node may hold any positive number of candidates, whatever the choices.
        """
        self.refuse_foreign(genotype)
        cells, operations = read_genotype(genotype), set(expand_presets(self.operations))
        topology = "per-type" if is_per_type(cells) else "per-cell"
        if topology != self.topology:
            raise InputError(f"This genotype is {topology}, but the space has topology='{self.topology}'.")
        if topology == "per-cell" and len(cells) != self.cells:
            raise InputError(f"This genotype has {len(cells)} cells, but the space has cells={self.cells}.")
        for name, cell in cells.items():
            if len(cell.nodes) != self.nodes:
                raise InputError(f"Cell '{name}' has {len(cell.nodes)} nodes, but the space has nodes={self.nodes}.")
            foreign = sorted({pick.operation for node in cell.nodes for pick in node} - operations)
            if foreign:
                raise InputError(
                    f"Cell '{name}' uses {', '.join(foreign)}, which option 'operations' of the space leaves out."
                )

    def parse(self, text: str) -> Genotype:
        """Reads JSON, or a published `Genotype(normal=..., normal_concat=..., reduce=..., reduce_concat=...)`."""
        return parse_genotype(text)

    def random(self, generator: Random) -> Genotype:
        """Two edges per node as `decode` gives, or with choices='node' any candidates at a random density."""
        sample = random_edges if self.choices == "edge" else random_subsets
        return sample(self.cell_names(), self.nodes, self._usable_operations(), generator)

    def mutate(self, genotype: Genotype, generator: Random) -> Genotype:
        """One operation or input changed, or with choices='node' one candidate added or removed."""
        mutate = mutate_edge if self.choices == "edge" else mutate_subset
        return mutate(genotype, self._usable_operations(), generator)

    def drawings(self, genotype: Genotype) -> tuple[Drawing, ...]:
        """One drawing for each cell of the genotype; nodes keep their numbers, from 2."""
        cells = read_genotype(genotype)
        drawings = []
        for name, cell in cells.items():
            nodes = (*INPUTS, *(str(number) for number in range(2, len(cell.nodes) + 2)))
            edges = [
                Edge(nodes[pick.input], nodes[number], pick.operation)
                for number, picks in enumerate(cell.nodes, 2)
                for pick in sorted(picks, key=lambda pick: (pick.input, pick.operation))
            ]
            edges += [Edge(nodes[number], OUTPUT, "concat") for number in cell.concat]
            title = name if is_per_type(cells) else f"cell {name}"
            drawings.append(Drawing(title, (*nodes, OUTPUT), tuple(edges)))
        return tuple(drawings)

    def scaled(self, channels: int | None = None, cells: int | None = None) -> Self:
        """This space at another size. `check` refuses per-cell genotypes of another number of cells."""
        return attrs.evolve(self, channels=channels or self.channels, cells=cells or self.cells)

    def size(self) -> dict[str, int | str]:
        """Cells, channels and stem."""
        return {"cells": self.cells, "channels": self.channels, "stem": self.stem}

    def layout(self, shape: ImageShape) -> NetworkLayout:
        """The layout of the supernet for images of `shape`."""
        stem = resolve_stem(self.stem, shape.size)
        return make_layout(stem, shape.size, self.channels, [self.nodes] * self.cells, shape.dims)

    def cell_names(self) -> tuple[str, ...]:
        """The names under which genotypes and choices hold the cells that are searched: types, or numbers from 0."""
        return TYPES if self.topology == "per-type" else tuple(map(str, range(self.cells)))

    def cell_name(self, cell: int) -> str:
        """The name under which they hold this cell, counted from 0 along the network."""
        return str(cell) if self.topology == "per-cell" else TYPES[cell in reduction_cells(self.cells)]

    def _cells_of(self, block: int, path: Genotype) -> Mapping[str, CellGraph]:
        """The cells of a block, by number."""
        graphs, numbers = read_cells(path), range(self.cells)
        return {str(cell): graphs[self.cell_name(cell)] for cell in numbers if block_of(cell, self.cells) == block}

    def _usable_operations(self) -> tuple[str, ...]:
        return tuple(name for name in expand_presets(self.operations) if name != NONE)

    def _blueprint(self, genotype: Genotype, shape: ImageShape) -> Blueprint:
        stem = resolve_stem(self.stem, shape.size)
        return make_blueprint(genotype, self.cells, self.channels, stem, shape.size, shape.dims)
