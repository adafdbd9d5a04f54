"""The part `darts` of the slot `--space`."""

from __future__ import annotations

from random import Random
from types import MappingProxyType
from typing import Self

import attrs
from torch import Tensor

from nasplug.builtin.darts import choosing, drawing, notation, sampling
from nasplug.builtin.darts.build import Blueprint, blueprint
from nasplug.builtin.darts.cost import block_cost, network_cost
from nasplug.builtin.darts.names import NONE, PRESETS, TYPES, expand
from nasplug.builtin.darts.network import DartsNetwork
from nasplug.builtin.darts.plan import IMAGENET_FROM, NetworkPlan, block_of, plan, reductions, resolve_stem, tapped
from nasplug.builtin.darts.supernet import DartsSupernet
from nasplug.builtin.darts.topology import SPACE, is_per_type, read, read_cells
from nasplug.errors import InputError
from nasplug.parts import Choice, Choices, Network, Paths, SearchSpace, option
from nasplug.values import Cost, Drawing, Genotype, ImageShape


@attrs.define
class Darts(SearchSpace):
    """Cells of nodes that read any earlier ones (DARTS), shared by type or each its own (SNPS, DNAD)."""

    name = SPACE
    auxiliary_heads = True
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

    def __attrs_post_init__(self) -> None:
        operations = expand(self.operations)
        if self.choices == "node" and NONE in operations:
            fitting = ", ".join(name for name, operations in PRESETS.items() if NONE not in operations)
            raise InputError(
                f"With choices='node' a candidate is left out by deleting it, so operation 'none' has no place in "
                f"'operations'; presets without it are {fitting}."
            )

    def choice_list(self) -> tuple[Choice, ...]:
        """A choice for each edge or node of each cell that is searched."""
        blocks: dict[str, set[int]] = {name: set() for name in self._named()}
        for cell in range(self.cells):
            blocks[self._name_of(cell)].add(block_of(cell, self.cells))
        named = {name: tuple(sorted(inside)) for name, inside in blocks.items()}
        return choosing.choices_of(named, self.nodes, expand(self.operations), self.choices == "edge")

    def supernet(self, shape: ImageShape) -> DartsSupernet:
        """The network of all architectures, with all its candidates batched (see `DartsSupernet`)."""
        return DartsSupernet(
            self._plan(shape),
            Choices(self.choice_list()),
            nodes=self.nodes,
            shape=shape,
            per_cell=self.topology == "per-cell",
        )

    def decode(self, choices: Choices, weights: Tensor) -> Genotype:
        """DARTS's two best edges per node, or with choices='node' every candidate kept."""
        if self.choices == "node":
            return choosing.decode_nodes(choices, self._named(), self.nodes)
        return choosing.decode_edges(choices, weights, self._named(), self.nodes)

    def encode(self, genotype: Genotype, choices: Choices) -> Tensor:
        """The candidates that a genotype holds, or a path through a block."""
        return choosing.encode(genotype, choices, self._named(), self.nodes)

    def taps(self) -> int:
        """One before each reduction, and one at the end."""
        return len(tapped(self.cells))

    def paths(self, block: int | None) -> Paths:
        """The paths through the cells of a block, or of the network."""
        inside = {self._name_of(cell) for cell in range(self.cells) if block_of(cell, self.cells) == block}
        names = [name for name in self._named() if block is None or name in inside]
        return sampling.paths(names, self.nodes, self._usable(), by_edge=self.choices == "edge")

    def path_cost(self, block: int, path: Genotype, before: Genotype | None, shape: ImageShape) -> Cost:
        """The cost of a block's cells, every cell built and both inputs of each preprocessed."""
        graphs, numbers = read_cells(path), range(self.cells)
        cells = {str(cell): graphs[self._name_of(cell)] for cell in numbers if block_of(cell, self.cells) == block}
        return block_cost(self._plan(shape), block, cells, shape)

    def network(self, genotype: Genotype, shape: ImageShape, auxiliary: bool = False) -> Network:
        """DARTS's evaluation network. The genotype may have any operations and nodes; InputError if it is no such."""
        return DartsNetwork(self._blueprint(genotype, shape), shape, auxiliary)

    def cost(self, genotype: Genotype, shape: ImageShape) -> Cost:
        """What `network` costs, counted without building it."""
        return network_cost(self._blueprint(genotype, shape), shape)

    def check(self, genotype: Genotype) -> None:
        """Raises InputError unless topology, cells, nodes and operations are those of this space.

        A node may hold any positive number of candidates, whatever the choices.
        """
        cells, operations = read(genotype), set(expand(self.operations))
        found = "per-type" if is_per_type(cells) else "per-cell"
        if found != self.topology:
            raise InputError(f"This genotype is {found}, but the space has topology='{self.topology}'.")
        if found == "per-cell" and len(cells) != self.cells:
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
        return notation.parse(text)

    def random(self, generator: Random) -> Genotype:
        """Two edges per node as DARTS decodes, or with choices='node' any candidates at a random density."""
        draw = sampling.random_edges if self.choices == "edge" else sampling.random_subsets
        return draw(self._named(), self.nodes, self._usable(), generator)

    def mutate(self, genotype: Genotype, generator: Random) -> Genotype:
        """One operation or input changed, or with choices='node' one candidate added or removed."""
        change = sampling.mutate_edge if self.choices == "edge" else sampling.mutate_subset
        return change(genotype, self._usable(), generator)

    def drawings(self, genotype: Genotype) -> tuple[Drawing, ...]:
        """One drawing for each cell that the genotype tells apart."""
        return drawing.draw_cells(genotype)

    def scaled(self, channels: int | None = None, cells: int | None = None) -> Self:
        """This space at another size. Per-cell genotypes belong to one number of cells: `check` tells."""
        return attrs.evolve(self, channels=channels or self.channels, cells=cells or self.cells)

    def size(self) -> dict[str, int | str]:
        """Cells, channels and stem."""
        return {"cells": self.cells, "channels": self.channels, "stem": self.stem}

    def _named(self) -> tuple[str, ...]:
        return TYPES if self.topology == "per-type" else tuple(map(str, range(self.cells)))

    def _name_of(self, cell: int) -> str:
        """The name under which genotypes hold a cell: its number or its type."""
        return str(cell) if self.topology == "per-cell" else TYPES[cell in reductions(self.cells)]

    def _usable(self) -> tuple[str, ...]:
        return tuple(name for name in expand(self.operations) if name != NONE)

    def _blueprint(self, genotype: Genotype, shape: ImageShape) -> Blueprint:
        stem = resolve_stem(self.stem, shape.size)
        return blueprint(genotype, self.cells, self.channels, stem, shape.size)

    def _plan(self, shape: ImageShape) -> NetworkPlan:
        return plan(resolve_stem(self.stem, shape.size), shape.size, self.channels, [self.nodes] * self.cells)
