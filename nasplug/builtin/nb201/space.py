"""The part `nb201` of the slot `--space`: choices, decoding, random architectures and paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from random import Random
from types import MappingProxyType
from typing import Self, cast

import attrs
from torch import Tensor, nn

from nasplug.builtin.nb201.genotype import (
    EDGES,
    LAST,
    NONE,
    OPERATIONS,
    PLACES,
    SPACE,
    check_operations,
    parse_genotype,
    read_genotype,
    write_genotype,
)
from nasplug.builtin.nb201.layer_list import network_layers
from nasplug.builtin.nb201.network import NasBench201Network, NetworkLayout, make_layout, network_cost
from nasplug.builtin.nb201.plain_supernet import PlainNasBench201
from nasplug.builtin.nb201.supernet import NasBench201Supernet
from nasplug.builtin.nb201.table import SIZE, find_data_set, read_table
from nasplug.errors import InputError
from nasplug.parts import Choice, Choices, LayerSpec, Network, Paths, SearchSpace, Supernet, option
from nasplug.values import Costs, Drawing, Edge, Genotype, ImageShape, KnownResult

BLOCKS = (0, 1, 2)
"""All cells share one topology, so each choice affects all three stages."""


@attrs.define
class NasBench201(SearchSpace):
    """One cell of four nodes and six edges, repeated through three stages (NAS-Bench-201): 15,625 architectures."""

    name = genotypes_of = SPACE
    table_size = MappingProxyType(SIZE)

    operations: tuple[str, ...] = option(OPERATIONS, "candidate operations of an edge", choices=OPERATIONS)
    channels: int = option(16, "channels of the first stage", at_least=1)
    cells: int = option(5, "cells of each of the three stages", at_least=1, at_most=1000)

    def __attrs_post_init__(self) -> None:
        check_operations(self.operations)

    def choice_list(self) -> tuple[Choice, ...]:
        """A choice for each edge, shared by all cells; a genotype holds exactly one of its candidates."""
        return tuple(Choice(place, self.operations, at_least=1, at_most=1, blocks=BLOCKS) for place in PLACES)

    def supernet(self, shape: ImageShape) -> NasBench201Supernet:
        """The network of all architectures (see `NasBench201Supernet`)."""
        return NasBench201Supernet(self._layout(shape), Choices(self.choice_list()), self.operations)

    def plain_supernet(self, net: Supernet) -> nn.Module:
        """The supernet as its published code has it."""
        return PlainNasBench201(cast("NasBench201Supernet", net)).copy_weights(net)

    def decode(self, choices: Choices, weights: Tensor) -> Genotype:
        """On every edge the active operation of the largest weight, `none` among them; ties go to the first.

        (DARTS-V1 on NAS-Bench-201.) An edge without active candidates gets its first candidate.
        """
        table = weights.tolist()
        strongest = []
        for row, columns in enumerate(choices.active_columns):
            column = max(columns, key=table[row].__getitem__, default=0)
            strongest.append(choices.choices[row].candidates[column])
        return write_genotype(strongest)

    def encode(self, genotype: Genotype, choices: Choices) -> Tensor:
        """The candidates that a genotype holds; edges that it does not name keep all of theirs."""
        mask = choices.valid_mask.clone()
        for place, names in genotype.picks:
            row = choices.rows[place]
            for column, name in enumerate(choices.choices[row].candidates):
                mask[row, column] = name in names
        return mask

    def taps(self) -> int:
        """One after each stage."""
        return len(BLOCKS)

    def paths(self, block: int | None) -> Paths:
        """Every architecture: the topology is shared, so a block has as many paths as the network."""
        return Paths(
            count=len(self.operations) ** len(EDGES),
            enumerate=lambda: map(write_genotype, product(self.operations, repeat=len(EDGES))),
            sample=self.random,
        )

    def network(self, genotype: Genotype, shape: ImageShape, auxiliary: bool = False) -> Network:
        """The network of the benchmark; it has no auxiliary head."""
        return NasBench201Network(self._layout(shape), read_genotype(genotype))

    def cost(self, genotype: Genotype, shape: ImageShape) -> Costs:
        """What `network` costs, counted without building it."""
        return network_cost(self._layout(shape), read_genotype(genotype))

    def layer_list(self, genotype: Genotype, shape: ImageShape) -> Sequence[LayerSpec]:
        """Stem, the edges and sums of every cell, residual blocks, classifier."""
        return network_layers(self._layout(shape), read_genotype(genotype))

    def check(self, genotype: Genotype) -> None:
        """Raises InputError unless every edge has one of this space's operations."""
        self.refuse_foreign(genotype)
        foreign = sorted(set(read_genotype(genotype)) - set(self.operations))
        if foreign:
            raise InputError(
                f"This genotype uses {', '.join(foreign)}, which option 'operations' of the space leaves out."
            )

    def parse(self, text: str) -> Genotype:
        """Reads JSON, or an architecture string of the benchmark."""
        return parse_genotype(text)

    def random(self, generator: Random) -> Genotype:
        """An operation for every edge, uniformly at random."""
        return write_genotype([generator.choice(self.operations) for _ in EDGES])

    def mutate(self, genotype: Genotype, generator: Random) -> Genotype:
        """Another operation on one edge; the genotype itself if there is no other."""
        operations = list(read_genotype(genotype))
        edge = generator.randrange(len(EDGES))
        others = [name for name in self.operations if name != operations[edge]]
        if others:
            operations[edge] = generator.choice(others)
        return write_genotype(operations)

    def drawings(self, genotype: Genotype) -> tuple[Drawing, ...]:
        """One drawing of the cell that all stages share: nodes 0 (input) to 3 (output), without edges of `none`."""
        edges = [
            Edge(str(source), str(target), name)
            for (target, source), name in zip(EDGES, read_genotype(genotype), strict=True)
            if name != NONE
        ]
        return (Drawing("cell", tuple(map(str, range(LAST + 1))), tuple(edges)),)

    def scaled(self, channels: int | None = None, cells: int | None = None) -> Self:
        """This space at another size."""
        return attrs.evolve(self, channels=channels or self.channels, cells=cells or self.cells)

    def size(self) -> dict[str, int | str]:
        """Cells of a stage, and channels of the first."""
        return {"cells": self.cells, "channels": self.channels}

    def read_results(self, content: bytes, dataset: str, shape: ImageShape) -> Mapping[Genotype, KnownResult]:
        """Reads the table of the benchmark (see `nasplug.builtin.nb201.table`)."""
        return read_table(content, find_data_set(dataset, shape))

    def _layout(self, shape: ImageShape) -> NetworkLayout:
        return make_layout(shape, self.channels, self.cells)
