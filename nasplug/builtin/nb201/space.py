"""The part `nb201` of the slot `--space`."""

from __future__ import annotations

from random import Random
from typing import Self

import attrs
from torch import Tensor

from nasplug.builtin.nb201 import choosing, drawing, notation, sampling
from nasplug.builtin.nb201.cost import network_cost
from nasplug.builtin.nb201.names import OPERATIONS, SPACE, check_operations
from nasplug.builtin.nb201.network import NasBench201Network
from nasplug.builtin.nb201.plan import NetworkPlan, plan
from nasplug.builtin.nb201.supernet import NasBench201Supernet
from nasplug.errors import InputError
from nasplug.parts import Choice, Choices, Network, Paths, SearchSpace, option
from nasplug.values import Cost, Drawing, Genotype, ImageShape


@attrs.define
class NasBench201(SearchSpace):
    """One cell of four nodes and six edges, repeated through three stages (NAS-Bench-201): 15,625 architectures."""

    name = SPACE

    operations: tuple[str, ...] = option(OPERATIONS, "candidate operations of an edge", choices=OPERATIONS)
    channels: int = option(16, "channels of the first stage", at_least=1)
    cells: int = option(5, "cells of each of the three stages", at_least=1, at_most=1000)

    def __attrs_post_init__(self) -> None:
        check_operations(self.operations)

    def choice_list(self) -> tuple[Choice, ...]:
        """A choice for each edge; all cells share it."""
        return choosing.choices_of(self.operations)

    def supernet(self, shape: ImageShape) -> NasBench201Supernet:
        """The network of all architectures (see `NasBench201Supernet`)."""
        return NasBench201Supernet(self._plan(shape), Choices(self.choice_list()), self.operations)

    def decode(self, choices: Choices, weights: Tensor) -> Genotype:
        """The heaviest operation of every edge."""
        return choosing.decode(choices, weights)

    def encode(self, genotype: Genotype, choices: Choices) -> Tensor:
        """The candidates that a genotype holds."""
        return choosing.encode(genotype, choices)

    def taps(self) -> int:
        """One after each stage."""
        return 3

    def paths(self, block: int | None) -> Paths:
        """Every architecture: the topology is shared, so a block has as many paths as the network."""
        return sampling.paths(self.operations)

    def network(self, genotype: Genotype, shape: ImageShape, auxiliary: bool = False) -> Network:
        """The network of the benchmark; it has no auxiliary head."""
        return NasBench201Network(self._plan(shape), notation.read(genotype))

    def cost(self, genotype: Genotype, shape: ImageShape) -> Cost:
        """What `network` costs, counted without building it."""
        return network_cost(self._plan(shape), notation.read(genotype))

    def check(self, genotype: Genotype) -> None:
        """Raises InputError unless every edge has one of this space's operations."""
        foreign = sorted(set(notation.read(genotype)) - set(self.operations))
        if foreign:
            raise InputError(
                f"This genotype uses {', '.join(foreign)}, which option 'operations' of the space leaves out."
            )

    def parse(self, text: str) -> Genotype:
        """Reads JSON, or an architecture string of the benchmark."""
        return notation.parse(text)

    def random(self, generator: Random) -> Genotype:
        """An operation for every edge, uniformly at random."""
        return sampling.random(self.operations, generator)

    def mutate(self, genotype: Genotype, generator: Random) -> Genotype:
        """Another operation on one edge."""
        return sampling.mutate(genotype, self.operations, generator)

    def drawings(self, genotype: Genotype) -> tuple[Drawing, ...]:
        """One drawing: all cells are alike."""
        return drawing.draw_cells(genotype)

    def scaled(self, channels: int | None = None, cells: int | None = None) -> Self:
        """This space at another size."""
        return attrs.evolve(self, channels=channels or self.channels, cells=cells or self.cells)

    def size(self) -> dict[str, int | str]:
        """Cells of a stage, and channels of the first."""
        return {"cells": self.cells, "channels": self.channels}

    def _plan(self, shape: ImageShape) -> NetworkPlan:
        return plan(shape, self.channels, self.cells)
